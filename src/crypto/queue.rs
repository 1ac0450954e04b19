//! Who is hashed next, and who is told at once that it would take too long.
//!
//! A plain structure: [`super::hasher`] keeps it under a lock, and knows threads and Argon2.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use argon2::Block;
use argon2::password_hash::phc;
use tokio::sync::oneshot;

use crate::metrics::Hashing;

/// What a password is hashed for; sign-in goes before sign-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    SignIn,
    SignUp,
}

impl Purpose {
    /// As it stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignUp => "sign-up",
        }
    }
}

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// `retry_after` is in whole seconds, at least one, for `Retry-After` (RFC 9110 §10.2.3).
    #[error("every slot is taken for the next {} s", retry_after.as_secs())]
    Busy { retry_after: Duration },
    #[error("a stored password hash is malformed: {0}")]
    Malformed(&'static str),
    #[error("Argon2 does not take this password")]
    Input(#[from] argon2::Error),
    /// The slot panicked over it, or the hasher was dropped.
    #[error("the hash was lost before it was done")]
    Lost,
}

/// A sign-up that waits is overtaken by this many sign-ins and then has its turn.
const OVERTAKEN_AT_MOST: usize = 7;
/// One part in this many of the smoothed duration is the latest hash.
const SMOOTHING: u32 = 8;

pub(super) type Answer = Result<phc::Output, HashError>;
pub(super) type Receiver = oneshot::Receiver<Answer>;
pub(super) type Task = Box<dyn FnOnce(&mut Vec<Block>) -> Answer + Send>;

pub(super) struct Job {
    /// Holds the password, and wipes it when done or dropped.
    pub(super) task: Task,
    /// Closed when nobody waits for the answer any more.
    pub(super) reply: oneshot::Sender<Answer>,
    pub(super) purpose: Purpose,
    pub(super) since: Instant,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) slots: usize,
    pub(super) max_wait: Duration,
    pub(super) sign_ins: VecDeque<Job>,
    pub(super) sign_ups: VecDeque<Job>,
    /// How many sign-ins in a row went before a sign-up that waits.
    pub(super) overtaken: usize,
    pub(super) running: usize,
    /// Zero until the first slot has measured its first hash: what comes before is let in, and has
    /// its deadline.
    pub(super) mean: Duration,
    pub(super) stopped: bool,
    pub(super) metrics: Hashing,
}

impl State {
    pub(super) fn measured(&mut self, took: Duration) {
        self.metrics.took(took);
        let first = self.mean.is_zero();
        self.mean = if first { took } else { (self.mean * (SMOOTHING - 1) + took) / SMOOTHING };
    }

    /// How long a job for `purpose` would wait for its slot, if it came now. Zero while a slot is
    /// free, so a mean that one slow hash has spoilt cannot shut the door for good.
    pub(super) fn expected_wait(&self, purpose: Purpose) -> Duration {
        let (sign_ins, sign_ups) = (self.sign_ins.len(), self.sign_ups.len());
        let queued_before = match purpose {
            Purpose::SignIn => sign_ins + sign_ups.min(sign_ins / OVERTAKEN_AT_MOST),
            Purpose::SignUp => sign_ups + sign_ins.min(OVERTAKEN_AT_MOST * (sign_ups + 1)),
        };
        let to_finish = (self.running + queued_before + 1).saturating_sub(self.slots);
        self.mean.mul_f64(to_finish as f64 / self.slots as f64)
    }

    /// Refuses what would probably pass its deadline: a refusal should come at once, not after
    /// `max_wait`. The expectation is only that: half is left for hashes that turn out slower, since
    /// others want the processors too, and for sign-ins yet to come that overtake a sign-up.
    pub(super) fn admit(&self, purpose: Purpose) -> Result<(), HashError> {
        let limit = self.max_wait / 2;
        if self.expected_wait(purpose) <= limit {
            return Ok(());
        }
        self.metrics.refused_on_arrival(purpose.as_str());
        Err(self.busy(purpose))
    }

    pub(super) fn push(&mut self, job: Job) {
        self.metrics.admitted(job.purpose.as_str());
        self.queue(job.purpose).push_back(job);
    }

    pub(super) fn busy(&self, purpose: Purpose) -> HashError {
        let whole = self.expected_wait(purpose).as_secs_f64().ceil().max(1.0);
        HashError::Busy { retry_after: Duration::from_secs(whole as u64) }
    }

    /// The job whose turn it is. Those whose caller went away, or whose deadline has passed, are
    /// dropped on the way without work: their clients have given up by then.
    pub(super) fn next(&mut self, now: Instant) -> Option<Job> {
        let job = self.pick(now)?;
        self.metrics.waited(job.purpose.as_str(), now - job.since);
        self.running += 1;
        Some(job)
    }

    fn pick(&mut self, now: Instant) -> Option<Job> {
        let max_wait = self.max_wait;
        for purpose in [Purpose::SignIn, Purpose::SignUp] {
            while let Some(late) =
                self.queue(purpose).pop_front_if(|job| job.is_over(now, max_wait))
            {
                self.metrics.refused_in_queue(purpose.as_str());
                let _ = late.reply.send(Err(self.busy(purpose)));
            }
        }
        if (self.sign_ins.is_empty() || self.overtaken >= OVERTAKEN_AT_MOST)
            && let Some(job) = self.sign_ups.pop_front()
        {
            self.overtaken = 0;
            return Some(job);
        }
        self.overtaken = if self.sign_ups.is_empty() { 0 } else { self.overtaken + 1 };
        self.sign_ins.pop_front()
    }

    fn queue(&mut self, purpose: Purpose) -> &mut VecDeque<Job> {
        match purpose {
            Purpose::SignIn => &mut self.sign_ins,
            Purpose::SignUp => &mut self.sign_ups,
        }
    }
}

impl Job {
    fn is_over(&self, now: Instant, max_wait: Duration) -> bool {
        self.reply.is_closed() || now - self.since >= max_wait
    }
}
