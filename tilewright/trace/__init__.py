"""JAX -> Graph. The only folder that touches the inside of JAX."""

from tilewright.trace.tracer import Traced as Traced
from tilewright.trace.tracer import trace as trace
