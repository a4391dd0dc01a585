"""stub"""
from gym_lagrangian.acting.strategy import Strategy
class PolicySearch(Strategy):
    def actor(self, situation): raise NotImplementedError
    def document(self, world): return {}
