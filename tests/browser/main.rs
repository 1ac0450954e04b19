//! Test suite of the pages and letters in a real Chromium, against the real program.
//!
//! Every story runs on a desktop and on a phone, with the keyboard alone, and with scripts switched
//! off. [`Visit::check_page`] checks every page: the page fits the screen, its buttons are large
//! enough for a thumb, no request goes to another host, the console has no complaint, and axe-core
//! finds no fault. The pictures are in `target/browser-screenshots`, in light and in dark.
//!
//! Without Chromium or chromedriver the tests are skipped with a message; `TEST_REQUIRE=browser`
//! makes that a failure. Without axe-core the pages are checked without it; `TEST_REQUIRE=axe`
//! makes that a failure.

mod axe;
mod chapters;
mod driver;
mod life;
mod page_checks;
#[path = "../support/service.rs"]
mod service;
mod visit;

use driver::Screen;
use service::{PASSWORD, Service};
use visit::Visit;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const CONFIRM: &str = ".card button";
const NOT_ME: &str = ".aside button";

#[tokio::test]
async fn stories_on_a_desktop() {
    all_stories(Screen::Desktop).await;
}

#[tokio::test]
async fn stories_on_a_phone() {
    all_stories(Screen::Phone).await;
}

async fn all_stories(screen: Screen) {
    let programs = match driver::programs() {
        Ok(programs) => programs,
        Err(reason) => return service::skip("browser", reason),
    };
    let mut service = Service::start(&[]);
    let visit = Visit::start(&programs, screen, "en", service.url("")).await;
    sign_up_by_letter(&visit, &service).await;
    contested_sign_up(&visit, &service).await;
    disavowed_sign_up(&visit, &service).await;
    link_sent_again(&visit, &service).await;
    error_pages(&visit, &service).await;
    expired_link(&visit, &mut service).await;
    visit.close().await;
}

/// Ada signs up, reads her letter, opens its link, and presses the button.
async fn sign_up_by_letter(visit: &Visit, service: &Service) {
    visit.open("/dev/mail").await;
    visit.read("No emails yet").await;
    visit.check_page("no-letters").await;

    service.sign_up("ada@example.org", PASSWORD, FIREFOX);
    service.link("ada@example.org", 1);
    visit.open("/dev/mail").await;
    // the letter is a file a moment before the page lists it
    visit.reload_until("To ada@example.org").await;
    visit.check_page("letters").await;
    visit.tab_to(".letters a").await;
    visit.enter().await;

    visit.read("Links in this email").await;
    visit.check_page("letter").await;
    let letter = visit.letter().await;
    assert!(letter.contains("Somebody, most likely you, signed up"), "{letter}");
    assert!(letter.contains("Firefox (Linux)"), "{letter}");
    visit.follow_the_letters_button("Confirm my email address").await;

    // to open the link changes nothing, even twice
    for _ in 0..2 {
        let page = visit.read("A sign-up with your email address is waiting").await;
        assert!(page.contains("ada@example.org"), "{page}");
        assert!(page.contains(" UTC"), "the time of the sign-up: {page}");
        assert!(page.contains("Firefox (Linux)"), "the browser of the sign-up: {page}");
        assert_eq!(service.sign_in("ada@example.org", PASSWORD), 400);
        visit.reload().await;
    }
    visit.check_page("activation").await;

    visit.tab_to(CONFIRM).await;
    visit.enter().await;
    let page = visit.read("Your email address is confirmed").await;
    assert!(page.contains("ada@example.org"), "{page}");
    visit.check_page("activated").await;
    assert_eq!(service.sign_in("ada@example.org", PASSWORD), 200);

    visit.back().await;
    visit.reload().await;
    visit.read("Your email address was already confirmed").await;
    visit.check_page("already-active").await;
}

/// Another person also signed up with Grace's address: the reader of the letter chooses the
/// password.
async fn contested_sign_up(visit: &Visit, service: &Service) {
    let (grace, planted) = ("grace@example.org", "planted before the owner came");
    service.sign_up(grace, planted, "curl/8.0");
    service.sign_up(grace, PASSWORD, FIREFOX);
    visit.open_url(&service.link(grace, 2)).await;
    visit.read("so you choose the password now").await;
    visit.check_page("choose-password").await;

    // the browser itself knows the minimum length of a password
    visit.tab_to("#password").await;
    visit.enter_text("too short").await;
    visit.enter().await;
    assert_eq!(
        visit.script("return document.querySelector('#password:invalid') != null").await,
        true
    );

    // without the browser's check the service reports the error
    visit.script("document.querySelector('#password').removeAttribute('minlength')").await;
    visit.enter().await;
    visit.read("password has at least 15 characters").await;
    assert!(visit.title().await.starts_with("Error: "));
    assert_eq!(visit.script("return document.activeElement.id").await, "password");
    visit.check_page("password-refused").await;

    visit.enter_text("a battery of correct horses").await;
    visit.enter().await;
    visit.read("Your email address is confirmed").await;
    assert_eq!(service.sign_in(grace, "a battery of correct horses"), 200);
    assert_eq!(service.sign_in(grace, planted), 400);
}

/// Alan did not sign up, and says so.
async fn disavowed_sign_up(visit: &Visit, service: &Service) {
    let alan = "alan@example.org";
    service.sign_up(alan, PASSWORD, FIREFOX);
    let link = service.link(alan, 1);
    visit.open_url(&link).await;
    visit.read("Was it not you?").await;
    visit.tab_to(NOT_ME).await;
    visit.enter().await;
    visit.read("The sign-up is dropped").await;
    visit.check_page("disavowed").await;
    visit.open_url(&link).await;
    visit.read("The sign-up is dropped").await;
    assert_eq!(service.sign_in(alan, PASSWORD), 400);
}

/// Lise waits for her letter: she has the link sent again after a refused sign-in, and after a link
/// that did not work. She chooses a password behind it (S2).
async fn link_sent_again(visit: &Visit, service: &Service) {
    let lise = "lise@example.org";
    service.sign_up(lise, PASSWORD, FIREFOX);
    service.link(lise, 1);
    visit.open("/account/sign-in").await;
    visit.fill("#email", lise).await;
    visit.fill("#password", PASSWORD).await;
    visit.enter().await;
    visit.read("Are you waiting for our email?").await;
    visit.press(".aside button").await;
    visit.read("Look in your mailbox").await;
    service.link(lise, 2);
    visit.press(".card button").await;
    visit.read("Look in your mailbox").await;
    service.link(lise, 3);

    visit.open("/activate?token=V1QlSxRHkL3CWfXHyUVx").await;
    visit.read("This link does not work").await;
    visit.fill("#email", lise).await;
    visit.enter().await;
    visit.read("Look in your mailbox").await;
    visit.open_url(&service.link(lise, 4)).await;
    visit.read("so you choose the password now").await;
    visit.fill("#password", "a battery of correct horses").await;
    visit.enter().await;
    visit.read("Your email address is confirmed").await;
    assert_eq!(service.sign_in(lise, "a battery of correct horses"), 200);
    assert_eq!(service.sign_in(lise, PASSWORD), 400);
}

/// A truncated link, and the page that an error's `type` leads to.
async fn error_pages(visit: &Visit, service: &Service) {
    visit.open("/activate?token=V1QlSxRHkL3CWfXHyUVx").await;
    visit.read("This link does not work").await;
    visit.check_page("link-unknown").await;

    visit.open("/problems/link-expired").await;
    visit.read("What to do").await;
    visit.check_page("problem").await;

    visit.open("/docs").await;
    visit.read("/oauth/introspect").await;
    visit.check_page("docs").await;

    // a button that is pressed too late
    let rosa = "rosa@example.org";
    service.sign_up(rosa, PASSWORD, FIREFOX);
    visit.open_url(&service.link(rosa, 1)).await;
    visit.read("Was it not you?").await;
    service.activate(&service.link(rosa, 1));
    visit.tab_to(NOT_ME).await;
    visit.enter().await;
    visit.read("Account already active").await;
    visit.check_page("disavowed-too-late").await;
}

/// Emmy's link has expired. She asks for another one, and chooses a password behind it: the reader
/// of an old link may not be the person who signed up (S2).
async fn expired_link(visit: &Visit, service: &mut Service) {
    let emmy = "emmy@example.org";
    service.restart(&[("VESTIBULE_LINKS__ACTIVATION_TTL", "1s")]);
    service.sign_up(emmy, PASSWORD, FIREFOX);
    visit.open_url(&service.link(emmy, 1)).await;
    visit.reload_until("This link has expired").await;
    visit.check_page("link-expired").await;

    // with the default lifetime, so that the new link lives long enough
    service.restart(&[]);
    visit.tab_to(CONFIRM).await;
    visit.enter().await;
    visit.read("Look in your mailbox").await;
    visit.check_page("new-link-sent").await;

    visit.open_url(&service.link(emmy, 2)).await;
    visit.read("so you choose the password now").await;
    visit.read("Firefox (Linux)").await;
    visit.tab_to("#password").await;
    visit.enter_text("a battery of correct horses").await;
    visit.enter().await;
    visit.read("Your email address is confirmed").await;
    assert_eq!(service.sign_in(emmy, "a battery of correct horses"), 200);
    assert_eq!(service.sign_in(emmy, PASSWORD), 400);
}
