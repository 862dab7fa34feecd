"""The life of one session, step by step, so that something can be broken before any of them."""

STEPS = ("login", "read", "touch", "update", "regenerate", "read_again", "logout", "after_logout")


class Life:
    """One user's session on `app`. Each step asserts; a failure names application, user and step."""

    def __init__(self, app, user="anna"):
        self.app, self.user = app, user
        self.browser = app.browser()
        self.steps = list(STEPS)
        self.session = {"user": user, "v": None}  # what every page must show
        self.dead_cookies = []  # must never work again

    def play(self, until=None):
        """Plays the steps that are left, up to but without `until`."""
        while self.steps and self.steps[0] != until:
            step = self.steps.pop(0)
            try:
                getattr(self, step)()
            except (AssertionError, OSError) as error:
                problem = error or type(error).__name__
                raise AssertionError(f"{self.app.name}, {self.user}, {step}: {problem}") from error
        return self

    def login(self):
        assert self.browser.login(self.user) == self.session
        assert self.browser.cookies, "the login gave no cookie"

    def read(self):
        assert self.browser.read() == self.session

    def touch(self):
        assert self.browser.touch() == self.session

    def update(self):
        self.session["v"] = "42"
        assert self.browser.update("42") == self.session
        assert self.browser.read() == self.session

    def regenerate(self):
        self.dead_cookies.append(dict(self.browser.cookies))
        assert self.browser.regenerate() == self.session
        assert self.browser.cookies != self.dead_cookies[-1], "the id did not change"

    def read_again(self):
        assert self.browser.read() == self.session
        self.assert_dead()

    def logout(self):
        self.dead_cookies.append(dict(self.browser.cookies))
        self.browser.logout()

    def after_logout(self):
        assert self.browser.read()["user"] is None
        self.assert_dead()

    def assert_dead(self):
        """The session ids of before log nobody in any more."""
        for cookies in self.dead_cookies:
            seen = self.browser.with_cookies(cookies).read()
            assert seen["user"] is None, f"a dead session id still works: {seen}"
