"""Closed forms of Aki & Richards (2002) for a homogeneous full space, in SI units; axes are free."""

import numpy as np
from scipy.special import erf


class FullSpace:
    """``vp``, ``vs`` m/s, ``rho`` kg/m3; the source's time function is exp(-t^2/h^2) / (sqrt(pi) h), ``h`` in s."""

    def __init__(self, vp, vs, rho, h):
        self.vp, self.vs, self.rho, self.h = vp, vs, rho, h

    def gauss(self, t):
        return np.exp(-((t / self.h) ** 2)) / (np.sqrt(np.pi) * self.h)

    def gauss_rate(self, t):
        return -2.0 * t / self.h**2 * self.gauss(t)

    def near(self, r, t):
        """Integral of tau g(t - tau) from r / vp to r / vs."""
        a, b = t - r / self.vs, t - r / self.vp
        mean = 0.5 * (erf(b / self.h) - erf(a / self.h))
        first = self.h / (2.0 * np.sqrt(np.pi)) * (np.exp(-((b / self.h) ** 2)) - np.exp(-((a / self.h) ** 2)))
        return t * mean + first

    def force(self, offset, t):
        """Displacement (3 of the motion, 3 of the force, sample) at ``offset`` from a force of 1 N: eq. 4.23."""
        r = np.linalg.norm(offset)
        g = offset / r
        gg, one = np.outer(g, g)[..., None], np.eye(3)[..., None]
        scale = 4.0 * np.pi * self.rho
        return (
            (3.0 * gg - one) / (scale * r**3) * self.near(r, t)
            + gg / (scale * self.vp**2 * r) * self.gauss(t - r / self.vp)
            - (gg - one) / (scale * self.vs**2 * r) * self.gauss(t - r / self.vs)
        )

    def strain(self, offset, t, step=0.5):
        """Strain (3, 3, 3 of the force, sample) at ``offset``: fourth-order differences of :meth:`force`, step in m."""
        gradient = np.zeros((3, 3, 3, len(t)))
        for q in range(3):
            shift = np.zeros(3)
            shift[q] = step
            for weight, k in ((-1, 2), (8, 1), (-8, -1), (1, -2)):
                gradient[:, q] += weight * self.force(offset + k * shift, t) / (12.0 * step)
        return 0.5 * (gradient + np.swapaxes(gradient, 0, 1))

    def moment_velocity(self, offset, tensor, t):
        """Velocity (3, sample) at ``offset`` from a moment tensor whose rate is the Gaussian: eq. 4.29."""
        r = np.linalg.norm(offset)
        g, d = offset / r, np.eye(3)
        ggg = np.einsum("n,p,q->npq", g, g, g)
        gn, gp = np.einsum("n,pq->npq", g, d), np.einsum("p,nq->npq", g, d)
        gq = np.einsum("q,np->npq", g, d)
        terms = (
            (15 * ggg - 3 * gn - 3 * gp - 3 * gq, r**-4, self.near(r, t)),
            (6 * ggg - gn - gp - gq, (self.vp * r) ** -2, self.gauss(t - r / self.vp)),
            (-(6 * ggg - gn - gp - 2 * gq), (self.vs * r) ** -2, self.gauss(t - r / self.vs)),
            (ggg, 1.0 / (self.vp**3 * r), self.gauss_rate(t - r / self.vp)),
            (-(ggg - gq), 1.0 / (self.vs**3 * r), self.gauss_rate(t - r / self.vs)),
        )
        total = sum(np.einsum("npq,pq->n", a, tensor)[:, None] * size * series for a, size, series in terms)
        return total / (4.0 * np.pi * self.rho)
