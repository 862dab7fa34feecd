"""The life of one session, step by step, with a chance to break something before each step."""

STEPS = ("login", "read", "touch", "update", "regenerate", "read_again", "logout", "after_logout")


def live(app, before=lambda step: None, user="anna"):
    """Plays all steps on `app`; calls `before(step)` first. AssertionError names step and cause.

    Returns the cookies with which the user was logged in when logging out, and those from before the
    regenerate: neither may ever work again.
    """
    browser = app.browser()
    logged_in = {"user": user, "v": None}
    updated = {"user": user, "v": "42"}
    old_cookies = last_cookies = None
    for step in STEPS:
        before(step)
        try:
            if step == "login":
                assert browser.login(user) == logged_in
                assert browser.cookies, "the login gave no cookie"
            elif step == "read":
                assert browser.read() == logged_in
            elif step == "touch":
                assert browser.touch() == logged_in
            elif step == "update":
                assert browser.update("42") == updated
                assert browser.read() == updated
            elif step == "regenerate":
                old_cookies = dict(browser.cookies)
                assert browser.regenerate() == updated
                assert browser.cookies != old_cookies, "the id did not change"
            elif step == "read_again":
                assert browser.read() == updated
                assert_dead(browser, old_cookies)
            elif step == "logout":
                last_cookies = dict(browser.cookies)
                browser.logout()
            elif step == "after_logout":
                assert browser.read()["user"] is None
                assert_dead(browser, last_cookies)
        except (AssertionError, OSError) as error:
            raise AssertionError(f"{app.name}, step {step}: {error or type(error).__name__}") from error
    return last_cookies, old_cookies


def assert_dead(browser, cookies):
    """These cookies log nobody in any more."""
    seen = browser.with_cookies(cookies).read()
    assert seen["user"] is None, f"a dead session id still works: {seen}"
