//! Chaos test: many clients, and a service with one injected fault after another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::{Account, Broken, Stage, Tools};
use crate::deployment::{Deployment, InjectedFault};
use crate::received_letters::ReceivedLetters;
use crate::seeded_random::SeededRandom;
use crate::wire::{Figures, Wire};

/// Accounts that a client uses at once.
const IN_HAND: usize = 6;
/// How long letters may take. After the courier's death a letter leaves again when its lease of 45
/// s has ended.
const LETTERS_TAKE: Duration = Duration::from_secs(90);
/// How often a client repeats a request at the end to learn an unknown outcome.
const ASK_AGAIN: usize = 50;

/// The size of a run.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub clients: usize,
    pub faults: usize,
    pub acknowledgements: u64,
    /// The longest time between two faults, in milliseconds.
    pub pause: usize,
    pub seed: u64,
    /// The longest duration of a run, which then ends with fewer faults.
    pub longest: Duration,
    /// Whether the run waits for its letters at the end. Where data is lost, they may never come.
    pub letters: bool,
}

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    pub figures: Figures,
    /// The broken promises, each with the ledger of its account.
    pub broken: Vec<String>,
    /// Lines of the log about faults of the service's own.
    faults: Vec<String>,
    pub took: Duration,
}

impl Report {
    pub fn assert_kept(&self, what: &str, size: Size) {
        let acknowledged = self.acknowledged();
        println!(
            "{what}, {size:?}, in {:.0} s: {acknowledged} acknowledgements\n{}",
            self.took.as_secs_f64(),
            self.figures.lines()
        );
        let shown: Vec<&str> = self.broken.iter().take(5).map(String::as_str).collect();
        assert!(
            self.broken.is_empty(),
            "{} promises were broken:\n{}\n{}",
            self.broken.len(),
            shown.join("\n"),
            self.faults.join("\n")
        );
        let enough = acknowledged >= size.acknowledgements || self.took >= size.longest;
        assert!(enough, "{acknowledged} acknowledgements only");
    }

    /// Asserts that a run on a medium that loses acknowledged data has noticed the loss.
    pub fn assert_losses_found(&self, what: &str) {
        let found = self.broken.len();
        println!("{what}: of {} acknowledgements, {found} accounts lost some", self.acknowledged());
        assert!(found > 0, "{what}: nothing was lost\n{}", self.figures.lines());
    }

    fn acknowledged(&self) -> u64 {
        acknowledged(&self.figures)
    }
}

fn acknowledged(figures: &Figures) -> u64 {
    let kinds = [
        "acknowledged sign-ups",
        "acknowledged activations",
        "acknowledged sign-ins",
        "acknowledged refreshes",
        "acknowledged changes of a password",
        "acknowledged revocations",
        "acknowledged deletions",
    ];
    kinds.iter().map(|kind| figures.of(kind)).sum()
}

struct Client<'a> {
    number: usize,
    tools: Tools<'a>,
    began: Instant,
    accounts: Vec<Account>,
    done: Vec<Account>,
    broken: Vec<String>,
    letters: bool,
}

impl Client<'_> {
    fn work(&mut self) {
        while self.accounts.len() < IN_HAND {
            let number = self.accounts.len() + self.done.len() + self.broken.len();
            let email = format!("n{number}@c{}.example", self.number);
            self.accounts.push(Account::new(email, self.began, &mut self.tools.rng));
        }
        let at = self.tools.rng.below(IN_HAND);
        if self.accounts[at].waits(self.tools.received_letters) {
            thread::sleep(Duration::from_millis(1));
            return;
        }
        let outcome = self.accounts[at].step(&mut self.tools);
        if let Err(broken) = outcome {
            let account = self.accounts.swap_remove(at);
            self.report(&account, &broken);
        } else if self.accounts[at].stage == Stage::Gone {
            self.done.push(self.accounts.swap_remove(at));
        }
    }

    fn report(&mut self, account: &Account, broken: &Broken) {
        self.broken.push(format!("{broken}\n{}", account.ledger()));
    }

    /// Finds out the unknown outcomes, waits for the letters, and replays all that was
    /// acknowledged.
    fn settle(&mut self, struck: Instant) {
        self.done.append(&mut self.accounts);
        for mut account in std::mem::take(&mut self.done) {
            if let Err(broken) = self.settle_one(&mut account, struck) {
                self.report(&account, &broken);
            }
        }
    }

    fn settle_one(&mut self, account: &mut Account, struck: Instant) -> Result<(), Broken> {
        let tools = &mut self.tools;
        for _ in 0..ASK_AGAIN {
            if account.is_settled() {
                break;
            }
            account.step(tools)?;
        }
        if !account.is_settled() {
            return Err("the outcome of a request stays unknown".to_owned());
        }
        if !self.letters {
            return account.replay(tools);
        }
        while let Err(missing) = account.letters(tools.received_letters) {
            if struck.elapsed() > LETTERS_TAKE {
                return Err(missing);
            }
            thread::sleep(Duration::from_millis(50));
        }
        if account.stage == Stage::Waiting {
            account.activate(tools)?;
        }
        account.replay(tools)
    }
}

/// Lets clients work, injects as many faults as the size says, and then replays every ledger.
pub fn run_chaos(
    deployment: &mut Deployment,
    received_letters: &ReceivedLetters,
    size: Size,
) -> Report {
    run_chaos_with(deployment, received_letters, size, |deployment, rng| {
        let fault = deployment.choose(rng);
        (fault, deployment.inject(fault, rng))
    })
}

/// The same with the caller's own way to inject faults.
pub fn run_chaos_with(
    deployment: &mut Deployment,
    received_letters: &ReceivedLetters,
    size: Size,
    mut inject: impl FnMut(&mut Deployment, &mut SeededRandom) -> (InjectedFault, (Instant, Duration)),
) -> Report {
    let began = Instant::now();
    let figures = Figures::default();
    let (stop, calm) = (AtomicBool::new(false), Mutex::new(None::<Instant>));
    let broken = Mutex::new(Vec::new());
    let port = deployment.service.port;
    let mut rng = SeededRandom::new(size.seed);
    let mut faults = Vec::new();
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        for number in 0..size.clients {
            let rng = SeededRandom::new(rng.next());
            let tools =
                Tools { wire: Wire::new(port, &figures), rng, received_letters, figures: &figures };
            let (accounts, done) = (Vec::new(), Vec::new());
            let letters = size.letters;
            let mut client =
                Client { number, tools, began, accounts, done, broken: Vec::new(), letters };
            let (stop, calm, broken) = (&stop, &calm, &broken);
            scope.spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    client.work();
                }
                let struck = calm.lock().unwrap_or_else(PoisonError::into_inner);
                let struck = struck.unwrap_or_else(Instant::now);
                client.settle(struck);
                broken.lock().unwrap_or_else(PoisonError::into_inner).append(&mut client.broken);
            });
        }
        let ends = StopWhenDropped(&stop);
        while faults.len() < size.faults || acknowledged(&figures) < size.acknowledgements {
            // a fault may come at full load, but also just after a start
            thread::sleep(Duration::from_millis(rng.below(size.pause) as u64));
            let (fault, (at, unready)) = inject(deployment, &mut rng);
            faults.push(at);
            figures.count(match fault {
                InjectedFault::Service => "times the service was killed",
                InjectedFault::Backend => "times a backend of PostgreSQL was killed",
                InjectedFault::Postmaster => "times PostgreSQL was killed",
                InjectedFault::Power => "times the power was cut",
            });
            if matches!(fault, InjectedFault::Backend | InjectedFault::Postmaster) {
                slowest = slowest.max(unready);
            }
            if faults.len() % 100 == 0 {
                println!("{} faults, {} acknowledgements", faults.len(), acknowledged(&figures));
            }
            if began.elapsed() > size.longest {
                break;
            }
        }
        *calm.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        drop(ends);
    });
    let mut broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (allowed, mut wrong) = received_letters.duplicates(&faults);
    broken.append(&mut wrong);
    figures.add("letters, duplicates counted", received_letters.total());
    figures.add("duplicates, all after an answer that was lost", allowed);
    if !slowest.is_zero() {
        figures
            .add("ms until ready again after PostgreSQL was, at most", slowest.as_millis() as u64);
    }
    let log = deployment.service.log();
    let faults = log.lines().filter(|line| line.contains("\"status\":500")).map(str::to_owned);
    Report { figures, broken, faults: faults.collect(), took: began.elapsed() }
}

/// Stops the clients when the thread that injects faults has failed.
struct StopWhenDropped<'a>(&'a AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
