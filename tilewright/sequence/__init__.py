"""Recurrent nets as their owners trained them: weights in, answers out."""

from tilewright.sequence.files import save as save
from tilewright.sequence.load import load as load
from tilewright.sequence.model import Model as Model
