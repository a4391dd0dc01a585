"""Playing and watching: keys do what they say, and windows end when the user says so."""

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import numpy as np
import pygame
import pytest

from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError
from gym_lagrangian.viewing import play as playing
from gym_lagrangian.viewing.play import Game, play, watch
from gym_lagrangian.viewing.rollout import Film

EXACT = "DoublePendulum-v0"
ESCAPE = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE)
CLOSE = pygame.event.Event(pygame.WINDOWCLOSE)


def down(*keys: int) -> list[pygame.event.Event]:
    return [pygame.event.Event(pygame.KEYDOWN, key=key) for key in keys]


def up(*keys: int) -> list[pygame.event.Event]:
    return [pygame.event.Event(pygame.KEYUP, key=key) for key in keys]


@pytest.fixture(autouse=True)
def _no_events():
    pygame.display.init()
    pygame.event.clear()


@pytest.fixture
def game():
    game = Game(EXACT, seed=0, size=100)
    yield game
    game.close()


class TestGame:
    def test_arrows_are_forces_as_long_as_they_are_held(self, game):
        assert list(game.action) == [0, 0]
        game.obey(down(pygame.K_RIGHT))
        assert list(game.action) == [1, 0]
        game.obey(down(pygame.K_UP))
        assert list(game.action) == [1, 1]
        game.obey(up(pygame.K_RIGHT) + down(pygame.K_LEFT))
        assert list(game.action) == [-1, 1]
        game.obey(up(pygame.K_LEFT, pygame.K_UP) + down(pygame.K_DOWN))
        assert list(game.action) == [0, -1]
        game.obey(up(pygame.K_DOWN))
        assert list(game.action) == [0, 0]

    def test_opposite_arrows_and_other_keys_are_nothing(self, game):
        game.obey(down(pygame.K_LEFT, pygame.K_RIGHT))
        assert list(game.action) == [0, 0]
        game.obey(up(pygame.K_LEFT) + down(pygame.K_q))
        assert list(game.action) == [1, 0]

    def test_one_actuator_has_two_arrows(self):
        game = Game("RelativisticParticle-v0", seed=0, size=100)
        game.obey(down(pygame.K_LEFT, pygame.K_UP))
        assert list(game.action) == [-1]
        game.advance()
        game.close()

    def test_an_arrow_moves(self, game):
        other = Game(EXACT, seed=0, size=100)
        game.obey(down(pygame.K_RIGHT))
        for _ in range(3):
            game.advance()
            other.advance()
        assert np.any(game.picture() != other.picture())
        other.close()

    def test_pause_and_single_step(self, game):
        start = game.picture()
        game.obey(down(pygame.K_SPACE))
        game.advance()
        np.testing.assert_array_equal(game.picture(), start)
        game.obey(down(pygame.K_n))
        game.advance()
        stepped = game.picture()
        assert np.any(stepped != start)
        game.advance()
        np.testing.assert_array_equal(game.picture(), stepped)
        game.obey(down(pygame.K_SPACE))
        game.advance()
        assert np.any(game.picture() != stepped)

    def test_reset(self):
        game = Game(EXACT, seed=0, start=[1.0, 0.5, 0.0, 0.0], size=100)
        start = game.picture()
        game.advance()
        assert np.any(game.picture() != start)
        game.obey(down(pygame.K_r))
        np.testing.assert_array_equal(game.picture(), start)
        game.close()

    def test_there_is_no_time_limit(self):
        game = Game(EXACT, seed=0, start=[0.3, 0.0, 0.0, 0.0], size=100)
        start = game.picture()
        for _ in range(500):
            game.advance()
        assert np.any(game.picture() != start)
        game.close()


class TestPlay:
    def test_ends_by_the_user(self):
        for event in (ESCAPE, CLOSE, pygame.event.Event(pygame.QUIT)):
            pygame.display.init()  # plain pygame shuts its event queue with its one window
            for posted in (*down(pygame.K_RIGHT, pygame.K_n), event):
                pygame.event.post(posted)
            play(EXACT, size=100)

    @pytest.mark.parametrize("model", [[], ["--checkpoint", "DoublePendulumLNN"]])
    def test_command(self, model):
        pygame.display.init()
        pygame.event.post(ESCAPE)
        assert main(["play", EXACT, "--size", "100", "--start=-1,0,0,0", *model]) == 0

    @pytest.mark.parametrize(
        "arguments", [["CartPole-v1"], [EXACT, "--size", "3"], [EXACT, "--start", "1"]]
    )
    def test_bad_input(self, capsys, arguments):
        assert main(["play", *arguments]) == 2
        assert capsys.readouterr().err.startswith("gym-lagrangian: ")

    @pytest.mark.parametrize("seed", [-1, 2**32])
    def test_bad_seed(self, seed):
        with pytest.raises(ConfigurationError, match="seed"):
            play(EXACT, seed=seed, size=100)


class TestWatch:
    def film(self, count: int) -> tuple[Film, list[int]]:
        taken: list[int] = []

        def frames():
            for i in range(count):
                taken.append(i)
                yield np.full((60, 90, 3), i, np.uint8)

        return Film(frames(), 1000, (90, 60)), taken

    def test_to_the_end(self):
        film, taken = self.film(4)
        watch(film)
        assert taken == [0, 1, 2, 3]

    def test_until_the_window_is_closed(self):
        film, taken = self.film(4)
        pygame.event.post(ESCAPE)
        watch(film)
        assert taken == [0]

    def test_what_is_seen_is_the_picture(self, monkeypatch):
        seen = []

        class Spy(playing.Window):
            def show(self, frame):
                events = super().show(frame)
                seen.append((self._window.get_surface().get_size(), frame.get_at((5, 5))[:3]))
                return events

        monkeypatch.setattr(playing, "Window", Spy)
        watch(self.film(2)[0])
        assert [(size, tuple(colour)) for size, colour in seen] == [
            ((90, 60), (0, 0, 0)),
            ((90, 60), (1, 1, 1)),
        ]

    def test_command(self):
        assert main(["rollout", EXACT, "--human", "--steps", "2", "--size", "100"]) == 0
