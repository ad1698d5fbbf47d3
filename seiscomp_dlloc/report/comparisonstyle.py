"""How the page of a comparison looks. Colours: Okabe and Ito's palette, told apart by colour-blind readers."""

CSS = """
:root{--o:#c1121f;--t0:#0072b2;--t1:#009e73;--t2:#e69f00;--t3:#cc79a7;--t4:#56b4e9;--ink:#22272e;--pale:#667080;
--line:#d9dee5;--back:#f5f7f9}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:14px/1.5 system-ui,"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 24px 60px}
h1{font-size:26px;margin:0 0 2px}
h2{font-size:18px;margin:0 0 12px}
h3{font-size:15px;margin:0 0 10px;overflow-wrap:anywhere}
h3 b{display:inline-block;min-width:26px;padding:1px 7px;margin-right:8px;border-radius:6px;background:var(--ink);
color:#fff;text-align:center}
h3 small{float:right;font-weight:500;color:var(--o);margin-left:12px}
h3 em{color:#8a5a00;font-weight:500;margin-left:6px}
small{color:var(--pale);font-weight:400}
.lead{margin:0 0 14px;color:var(--pale);overflow-wrap:anywhere}
.banner{background:#fff4d6;border:1px solid #e6b93c;border-radius:8px;padding:10px 14px;margin:0 0 14px}
.note{color:var(--pale);margin:0 0 14px}
section,article{background:#fff;border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:0 0 18px}
section>article{margin:0 0 14px;background:#fff}
.wide{overflow-x:auto}
.legend{display:flex;flex-wrap:wrap;gap:18px;margin:0 0 12px}
.legend span{display:flex;align-items:center;gap:6px}
.key{width:12px;height:12px;border-radius:50%;border:2.5px solid;background:#fff}
.key.o{border-color:var(--o);background:var(--o)}
.key.t0{border-color:var(--t0)}.key.t1{border-color:var(--t1)}.key.t2{border-color:var(--t2)}
.key.t3{border-color:var(--t3)}.key.t4{border-color:var(--t4)}
.key.tri{width:0;height:0;border:6px solid transparent;border-bottom:10px solid #9aa3ae;border-top:0;border-radius:0}
table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums;margin:4px 0}
th{font-weight:600;text-align:right;color:var(--pale);padding:4px 9px;vertical-align:bottom;white-space:nowrap}
td{text-align:right;padding:4px 9px;border-top:1px solid var(--line);white-space:nowrap}
td.text,th:first-child{text-align:left}
.all thead th{position:sticky;top:0;background:#fff;border-bottom:1px solid var(--line)}
.all td.text{max-width:330px;overflow:hidden;text-overflow:ellipsis}
.all tr:nth-child(even) td{background:#fafbfc}
.summary td{min-width:150px}
.facts{width:100%;margin-top:8px}
.facts td{white-space:normal;overflow-wrap:anywhere;max-width:380px}
details{margin:8px 0}
summary{cursor:pointer;color:var(--pale)}
details p{max-width:900px;color:var(--pale)}
a{color:var(--t0);text-decoration:none}
a:hover{text-decoration:underline}
img{max-width:100%;margin-top:12px;border:1px solid var(--line);border-radius:6px}
footer{color:var(--pale)}
footer li{overflow-wrap:anywhere}
svg{display:block;max-width:none}
svg text{font-size:11px;fill:var(--ink)}
svg text.tick{font-size:10px;fill:var(--pale)}
svg text.title{font-weight:600;font-size:12px}
.back{fill:#fcfdfe}
.frame{fill:none;stroke:#8b95a1;stroke-width:1}
.grid{fill:none;stroke:#e6eaef;stroke-width:1}
.zero{fill:none;stroke:#8b95a1;stroke-width:1}
.line{fill:none;stroke-width:1;stroke:#9aa3ae}
.line.faint{opacity:.45}
path.faint{opacity:.45}
.line.strong{stroke-width:1.8}
.line.expected{stroke:#8b95a1;stroke-width:1.5;stroke-dasharray:5 4}
.bar{fill:#7a8fa8}
.station{fill:#c3cad3;stroke:none}
.dot{fill:none;stroke-linecap:round;stroke-width:5}
.dot.small{stroke-width:3.4}
.dot.medium{stroke-width:7}
.dot.large{stroke-width:10}
.ring{fill:none;stroke-width:1.6}
.line.o,.dot.o,.ring.o{stroke:var(--o)}
.line.t0,.dot.t0,.ring.t0{stroke:var(--t0)}.line.t1,.dot.t1,.ring.t1{stroke:var(--t1)}
.line.t2,.dot.t2,.ring.t2{stroke:var(--t2)}.line.t3,.dot.t3,.ring.t3{stroke:var(--t3)}
.line.t4,.dot.t4,.ring.t4{stroke:var(--t4)}
@media print{body{background:#fff}section,article{break-inside:avoid;border:0;padding:0}}
"""
