//! Queue of password hashes: orders them fairly between networks, and refuses requests that would
//! wait too long.
//!
//! This module is a plain structure without threads: [`super::hasher`] keeps it under a lock, and
//! knows threads and Argon2.

use std::time::{Duration, Instant};

use argon2::password_hash::phc;
use argon2::{Block, Params};
use tokio::sync::oneshot;

use super::fair_queue::{FairQueue, QueueEntry};
use crate::metrics::HashingMetrics;
use crate::model::{Network, Subnet};

/// Purpose of a hash. Sign-in comes before sign-up. A change or a reset of a password counts as a
/// sign-in, because it belongs to an account or to a proven mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A sign-in, a change of the password or a reset.
    SignIn,
    /// A sign-up.
    SignUp,
}

impl Purpose {
    /// Label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignUp => "sign-up",
        }
    }
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// `retry_after` is in whole seconds, at least one, for `Retry-After` (RFC 9110 §10.2.3).
    #[error("all slots are busy for the next {} s", retry_after.as_secs())]
    Busy { retry_after: Duration },
    /// The stored hash is no Argon2id hash of sensible cost.
    #[error("a stored password hash is malformed: {0}")]
    Malformed(&'static str),
    /// Argon2 refuses the password, for example because of its length.
    #[error("Argon2 does not accept this password")]
    Input(#[from] argon2::Error),
    /// The slot panicked, or the hasher was dropped.
    #[error("the hash did not complete")]
    Lost,
}

/// Number of sign-ins that may overtake a waiting sign-up before the sign-up has its turn. Each
/// network other than the sign-up's own may overtake with one sign-in only.
const MAX_OVERTAKEN: usize = 7;
/// Weight of the latest hash in the smoothed duration: one part in eight.
const SMOOTHING: u32 = 8;

pub(super) type HashResult = Result<phc::Output, HashError>;
pub(super) type Receiver = oneshot::Receiver<HashResult>;
pub(super) type Task = Box<dyn FnOnce(&mut Vec<Block>) -> HashResult + Send>;

/// Cost of a hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cost {
    /// Blocks of 1 KiB that Argon2 fills, summed over the passes. The time is proportional to it.
    pub(super) work: u64,
    /// Memory during the computation.
    pub(super) memory_kib: u64,
}

impl From<&Params> for Cost {
    fn from(params: &Params) -> Self {
        let memory_kib = u64::from(params.m_cost());
        Self { work: memory_kib * u64::from(params.t_cost()), memory_kib }
    }
}

pub(super) struct Job {
    /// Holds the password, and wipes it on completion or drop.
    pub(super) task: Task,
    /// Closed once the request is dropped.
    pub(super) reply: oneshot::Sender<HashResult>,
    pub(super) purpose: Purpose,
    /// Network of the caller.
    pub(super) network: Network,
    pub(super) cost: Cost,
    pub(super) since: Instant,
}

impl QueueEntry for Job {
    fn work(&self) -> u64 {
        self.cost.work
    }
}

pub(super) struct HashQueue {
    slots: usize,
    pub(super) max_wait: Duration,
    /// Cost of a hash with the present parameters.
    ordinary: Cost,
    sign_ins: FairQueue<Job>,
    sign_ups: FairQueue<Job>,
    /// Networks of the sign-ins that overtook waiting sign-ups since the last turn of a sign-up.
    overtaken_by: Vec<Subnet>,
    running: usize,
    /// Sum of the costs of the running hashes.
    taken: Cost,
    /// Smoothed duration of an ordinary hash. Zero until the first slot has measured one; until
    /// then each request is admitted and only has its deadline.
    pub(super) mean: Duration,
    pub(super) stopped: bool,
    pub(super) metrics: HashingMetrics,
}

impl HashQueue {
    pub(super) fn new(slots: usize, max_wait: Duration, ordinary: Cost) -> Self {
        Self {
            slots,
            max_wait,
            ordinary,
            sign_ins: FairQueue::default(),
            sign_ups: FairQueue::default(),
            overtaken_by: Vec::new(),
            running: 0,
            taken: Cost { work: 0, memory_kib: 0 },
            mean: Duration::ZERO,
            stopped: false,
            metrics: HashingMetrics::default(),
        }
    }

    pub(super) fn ordinary(&self) -> Cost {
        self.ordinary
    }

    /// Records the duration of a hash of this cost.
    pub(super) fn measured(&mut self, took: Duration, cost: Cost) {
        self.metrics.took(took);
        let of_ordinary = took.mul_f64(self.ordinary.work as f64 / cost.work.max(1) as f64);
        let first = self.mean.is_zero();
        let smoothed = (self.mean * (SMOOTHING - 1) + of_ordinary) / SMOOTHING;
        self.mean = if first { of_ordinary } else { smoothed };
    }

    /// Time that one slot needs for `work`.
    fn time_of(&self, work: u64) -> Duration {
        self.mean.mul_f64(work as f64 / self.ordinary.work.max(1) as f64)
    }

    /// Time that a job would wait for a slot if it came now: the time of all work before it, shared
    /// by the slots. Zero while a slot is free, so that one slow hash, which spoils the mean,
    /// cannot block admission for good.
    pub(super) fn expected_wait(&self, purpose: Purpose, network: Network, cost: Cost) -> Duration {
        let (subnets, own) = (network.subnets(), cost.work);
        let most = MAX_OVERTAKEN as u64;
        let queued_before = match purpose {
            Purpose::SignIn => {
                let sign_ins = self.sign_ins.work_before(&subnets, own);
                // a sign-up comes before each further sign-in of a network, and before every eighth
                // one
                let of_network = self.sign_ins.work_of(subnets.first()).min(sign_ins);
                sign_ins + self.sign_ups.work().min(of_network.max(sign_ins / most))
            }
            Purpose::SignUp => {
                let sign_ups = self.sign_ups.work_before(&subnets, own) + own;
                let overtaking = self.sign_ins.parts().map(|(subnet, work)| {
                    let by_itself = match Some(&subnet) == subnets.first() {
                        true => sign_ups,
                        false => self.sign_ups.work_of(Some(&subnet)).min(sign_ups),
                    };
                    work.min(sign_ups + (most - 1) * by_itself)
                });
                sign_ups - own + overtaking.sum::<u64>().min(most * sign_ups)
            }
        };
        let slots = self.slots as u64;
        // free slots take the first queued jobs, so these count as running
        let begins = slots.saturating_sub(self.running as u64) * self.ordinary.work;
        match queued_before.checked_sub(begins) {
            // the first running job ends when all running jobs are partly done
            Some(queued) => {
                let running = (self.taken.work + begins) / slots;
                self.time_of(queued + running) / self.slots as u32
            }
            None => Duration::ZERO,
        }
    }

    /// Refuses a request that would probably miss its deadline: a refusal should come at once, not
    /// after `max_wait`. The limit is half of `max_wait`. The other half is a reserve for slower
    /// hashes, since other programs use the processors too, and for later jobs that have their turn
    /// earlier.
    pub(super) fn admit(
        &self,
        purpose: Purpose,
        network: Network,
        cost: Cost,
    ) -> Result<(), HashError> {
        let limit = self.max_wait / 2;
        if self.expected_wait(purpose, network, cost) <= limit {
            return Ok(());
        }
        self.metrics.refused_on_arrival(purpose.as_str());
        Err(self.busy(purpose, network, cost))
    }

    pub(super) fn push(&mut self, job: Job) {
        self.metrics.admitted(job.purpose.as_str());
        let (subnets, quantum) = (job.network.subnets(), self.ordinary.work);
        self.queue(job.purpose).push(&subnets, job, quantum);
    }

    fn busy(&self, purpose: Purpose, network: Network, cost: Cost) -> HashError {
        let wait = self.expected_wait(purpose, network, cost);
        let whole = wait.as_secs_f64().ceil().max(1.0);
        HashError::Busy { retry_after: Duration::from_secs(whole as u64) }
    }

    /// The job whose turn it is, if its memory is free. Jobs of a dropped request, and jobs past
    /// their deadline, are removed without work: their clients have given up.
    pub(super) fn next(&mut self, now: Instant) -> Option<Job> {
        self.remove_expired(now);
        let quantum = self.ordinary.work;
        let purpose = self.purpose_next(quantum);
        let needed = self.queue(purpose).peek(quantum)?.cost.memory_kib;
        if !self.has_memory(needed) {
            return None;
        }
        let job = self.queue(purpose).pop(quantum)?;
        match purpose {
            Purpose::SignIn if !self.sign_ups.is_empty() => {
                self.overtaken_by.extend(widest(job.network));
            }
            _ => self.overtaken_by.clear(),
        }
        self.metrics.waited(purpose.as_str(), now - job.since);
        self.running += 1;
        self.taken.work += job.cost.work;
        self.taken.memory_kib += job.cost.memory_kib;
        Some(job)
    }

    /// Chooses a sign-in, unless enough sign-ins have overtaken a waiting sign-up. No network's
    /// sign-ins come twice before a sign-up of another network.
    fn purpose_next(&mut self, quantum: u64) -> Purpose {
        let Some(sign_in) = self.sign_ins.peek(quantum).map(|job| widest(job.network)) else {
            return Purpose::SignUp;
        };
        let Some(sign_up) = self.sign_ups.peek(quantum).map(|job| widest(job.network)) else {
            return Purpose::SignIn;
        };
        let has_overtaken = sign_in.is_some_and(|subnet| self.overtaken_by.contains(&subnet));
        match self.overtaken_by.len() >= MAX_OVERTAKEN || (has_overtaken && sign_in != sign_up) {
            true => Purpose::SignUp,
            false => Purpose::SignIn,
        }
    }

    /// Records the end of a job of this cost.
    pub(super) fn finished(&mut self, cost: Cost) {
        self.running -= 1;
        self.taken.work -= cost.work;
        self.taken.memory_kib -= cost.memory_kib;
    }

    /// Whether a hash may take this memory now. All running hashes together have at most the memory
    /// of an ordinary hash per slot. A hash that needs more alone runs by itself.
    fn has_memory(&self, needed_kib: u64) -> bool {
        let most = self.ordinary.memory_kib * self.slots as u64;
        self.running == 0 || self.taken.memory_kib + needed_kib <= most
    }

    fn remove_expired(&mut self, now: Instant) {
        let max_wait = self.max_wait;
        for purpose in [Purpose::SignIn, Purpose::SignUp] {
            for late in self.queue(purpose).remove_expired(&|job| job.is_expired(now, max_wait)) {
                self.metrics.refused_in_queue(purpose.as_str());
                let busy = self.busy(purpose, late.network, late.cost);
                let _ = late.reply.send(Err(busy));
            }
        }
    }

    /// Drops all jobs; their passwords are wiped.
    pub(super) fn clear(&mut self) {
        self.sign_ins.clear();
        self.sign_ups.clear();
    }

    pub(super) fn queued(&self) -> usize {
        self.sign_ins.len() + self.sign_ups.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Whether an idle slot should look for a job.
    pub(super) fn has_work_for_another(&self) -> bool {
        self.queued() > 0 && self.running < self.slots
    }

    fn queue(&mut self, purpose: Purpose) -> &mut FairQueue<Job> {
        match purpose {
            Purpose::SignIn => &mut self.sign_ins,
            Purpose::SignUp => &mut self.sign_ups,
        }
    }
}

/// The widest network around an address; turns belong to it.
fn widest(network: Network) -> Option<Subnet> {
    network.subnets().into_iter().next()
}

impl Job {
    fn is_expired(&self, now: Instant, max_wait: Duration) -> bool {
        self.reply.is_closed() || now - self.since >= max_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDINARY: Cost = Cost { work: 40, memory_kib: 20 };
    const MEAN: Duration = Duration::from_millis(100);
    const MAX_WAIT: Duration = Duration::from_secs(2);

    /// A queue with a clock that a test steps.
    struct SteppedQueue {
        state: HashQueue,
        now: Instant,
        /// Answers that jobs wait for, by address.
        waiting: Vec<(&'static str, Receiver)>,
    }

    fn network(address: &str) -> Network {
        Network::of(address.parse().ok())
    }

    impl SteppedQueue {
        #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
        fn of(slots: usize) -> Self {
            let mut state = HashQueue::new(slots, MAX_WAIT, ORDINARY);
            state.mean = MEAN;
            Self { state, now: Instant::now(), waiting: vec![] }
        }

        fn advance(&mut self, by: Duration) {
            self.now += by;
        }

        /// Asks for a hash as [`super::super::hasher::Hasher`] does.
        fn ask(&mut self, address: &'static str, purpose: Purpose, cost: Cost) -> bool {
            let network = network(address);
            if self.state.admit(purpose, network, cost).is_err() {
                return false;
            }
            let (reply, receiver) = oneshot::channel();
            let task: Task = Box::new(|_| Err(HashError::Lost));
            self.state.push(Job { task, reply, purpose, network, cost, since: self.now });
            self.waiting.push((address, receiver));
            true
        }

        /// Asks for up to `most` sign-ins until one is refused; returns the number of admitted
        /// ones.
        fn flood(&mut self, address: &'static str, most: usize) -> usize {
            (0..most).take_while(|_| self.ask(address, Purpose::SignIn, ORDINARY)).count()
        }

        fn next(&mut self) -> Option<(Network, Purpose)> {
            self.state.next(self.now).map(|job| (job.network, job.purpose))
        }

        /// Serves the next job in one slot.
        fn served(&mut self) -> Option<(Network, Purpose)> {
            let job = self.state.next(self.now)?;
            self.now += self.state.time_of(job.cost.work);
            self.state.finished(job.cost);
            Some((job.network, job.purpose))
        }

        /// Serves jobs in one slot, one after the other; returns their networks.
        fn serve(&mut self, times: usize) -> Vec<Network> {
            (0..times).map_while(|_| self.served().map(|(network, _)| network)).collect()
        }

        /// Addresses of the jobs that were refused so far.
        fn refused(&mut self) -> Vec<&'static str> {
            let told = |receiver: &mut Receiver| {
                matches!(receiver.try_recv(), Ok(Err(HashError::Busy { .. })))
            };
            self.waiting.extract_if(.., |(_, receiver)| told(receiver)).map(|(of, _)| of).collect()
        }
    }

    const FLOOD: &str = "192.0.2.1";
    const HONEST: &str = "198.51.100.7";

    #[test]
    fn s5_network_with_a_full_share_is_refused_and_another_network_is_served() {
        let mut queue = SteppedQueue::of(1);
        // one second of waiting is admitted, and the first hash waits for none
        assert_eq!(queue.flood(FLOOD, 400), 11);
        assert!(!queue.ask(FLOOD, Purpose::SignIn, ORDINARY));
        assert!(queue.ask(HONEST, Purpose::SignIn, ORDINARY));
        let order = queue.serve(2);
        assert_eq!(order, [network(FLOOD), network(HONEST)]);
        let HashError::Busy { retry_after } =
            queue.state.busy(Purpose::SignIn, network(FLOOD), ORDINARY)
        else {
            panic!("busy")
        };
        assert_eq!(retry_after, Duration::from_secs(1));
    }

    #[test]
    fn s5_single_network_has_the_whole_capacity() {
        for address in [FLOOD, "", "2001:db8::1"] {
            let mut queue = SteppedQueue::of(1);
            assert_eq!(queue.flood(address, 400), 11, "{address}");
            assert_eq!(queue.serve(400).len(), 11);
            assert_eq!(SteppedQueue::of(2).flood(address, 400), 22);
        }
    }

    #[test]
    fn s5_nested_networks_fill_one_share() {
        let mut queue = SteppedQueue::of(1);
        let site = ["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:300::1", "2001:db8:1:f00::1"];
        let admitted: usize = site.iter().map(|address| queue.flood(address, 400)).sum();
        let alone = SteppedQueue::of(1).flood(HONEST, 400);
        assert!(admitted > alone, "addresses within the site are fair to each other");
        // the site delays another network by one hash, however many of its networks wait
        let wait = queue.state.expected_wait(Purpose::SignIn, network(HONEST), ORDINARY);
        assert_eq!(wait, MEAN);
        assert_eq!(queue.flood(HONEST, 400), 5, "every other turn in the same second");
        let order = queue.serve(12);
        let honest = order.iter().filter(|of| **of == network(HONEST)).count();
        assert_eq!(honest, 5, "{order:?}");
    }

    #[test]
    fn s5_jobs_past_their_deadline_are_refused() {
        let mut queue = SteppedQueue::of(1);
        queue.flood(FLOOD, 400);
        queue.advance(MAX_WAIT - Duration::from_millis(1));
        assert!(queue.ask(HONEST, Purpose::SignIn, ORDINARY));
        assert_eq!(queue.serve(1), [network(FLOOD)]);
        assert_eq!(queue.refused().len(), 0);
        assert_eq!(queue.serve(5), [network(HONEST)]);
        assert_eq!(queue.refused(), [FLOOD; 10]);
    }

    /// Places of the honest jobs among the served jobs.
    fn places(queue: &mut SteppedQueue, times: usize) -> Vec<usize> {
        let order = queue.serve(times);
        let places = order.iter().enumerate().filter(|(_, of)| **of == network(HONEST));
        places.map(|(place, _)| place).collect()
    }

    #[test]
    fn s5_network_overtakes_a_foreign_sign_up_with_one_sign_in() {
        let mut queue = SteppedQueue::of(1);
        queue.state.mean = Duration::from_millis(1);
        for _ in 0..3 {
            assert!(queue.ask(HONEST, Purpose::SignUp, ORDINARY));
        }
        queue.flood(FLOOD, 20);
        assert_eq!(places(&mut queue, 17), [1, 3, 5]);
        // the same while the flood sends sign-ups as well
        queue.flood(FLOOD, 20);
        while queue.waiting.len() < 60 && queue.ask(FLOOD, Purpose::SignUp, ORDINARY) {}
        assert!(queue.ask(HONEST, Purpose::SignUp, ORDINARY));
        let place = places(&mut queue, 60);
        assert!(place.len() == 1 && place[0] <= 9, "{place:?}");
    }

    #[test]
    fn s5_sign_ins_precede_sign_ups_of_their_network_except_every_eighth() {
        let mut queue = SteppedQueue::of(1);
        queue.state.mean = Duration::from_millis(1);
        for _ in 0..2 {
            assert!(queue.ask(HONEST, Purpose::SignUp, ORDINARY));
        }
        queue.flood(HONEST, 20);
        let purposes: Vec<_> = (0..17).map_while(|_| queue.served().map(|(_, of)| of)).collect();
        let ups = purposes.iter().enumerate().filter(|(_, of)| **of == Purpose::SignUp);
        assert_eq!(ups.map(|(place, _)| place).collect::<Vec<_>>(), [7, 15]);
    }

    #[test]
    fn s5_sign_ins_of_many_networks_precede_a_sign_up_except_every_eighth() {
        let mut queue = SteppedQueue::of(1);
        queue.state.mean = Duration::from_millis(1);
        assert!(queue.ask(HONEST, Purpose::SignUp, ORDINARY));
        for address in [
            "192.0.2.1",
            "192.0.3.1",
            "192.0.4.1",
            "192.0.5.1",
            "192.0.6.1",
            "192.0.7.1",
            "192.0.8.1",
            "192.0.9.1",
            "192.0.10.1",
        ] {
            assert!(queue.ask(address, Purpose::SignIn, ORDINARY));
        }
        assert_eq!(places(&mut queue, 10), [7]);
    }

    #[test]
    fn s5_sign_up_is_admitted_during_a_flood_of_sign_ins_and_waits_as_expected() {
        let mut queue = SteppedQueue::of(1);
        queue.flood(FLOOD, 400);
        for n in 1..=4 {
            assert!(queue.ask(HONEST, Purpose::SignUp, ORDINARY), "{n}");
            let wait = queue.state.expected_wait(Purpose::SignUp, network(HONEST), ORDINARY);
            assert_eq!(wait, MEAN * (2 * n + 1), "{n} wait of its own, and a sign-in before each");
        }
        assert_eq!(places(&mut queue, 20), [1, 3, 5, 7]);
    }

    #[test]
    fn s5_sign_ups_of_another_network_are_admitted_during_a_flood() {
        let mut queue = SteppedQueue::of(2);
        queue.flood(FLOOD, 400);
        while queue.ask(FLOOD, Purpose::SignUp, ORDINARY) {}
        // seven sign-ins and one sign-up may go before it, in two slots
        let wait = queue.state.expected_wait(Purpose::SignUp, network(HONEST), ORDINARY);
        assert!(wait <= MEAN * 15 / 2, "{wait:?}");
        assert!(queue.ask(HONEST, Purpose::SignUp, ORDINARY));
    }

    #[test]
    fn s5_expected_wait_is_the_sum_of_durations() {
        let mut queue = SteppedQueue::of(1);
        let costly = Cost { work: 5 * ORDINARY.work, ..ORDINARY };
        let wait = |queue: &SteppedQueue| {
            queue.state.expected_wait(Purpose::SignIn, network(FLOOD), ORDINARY)
        };
        assert_eq!(wait(&queue), Duration::ZERO);
        assert!(queue.ask(FLOOD, Purpose::SignIn, costly));
        assert!(queue.ask(FLOOD, Purpose::SignIn, ORDINARY));
        assert_eq!(wait(&queue), MEAN * 6);
        queue.next().unwrap();
        assert_eq!(wait(&queue), MEAN * 6, "the costly hash runs, and one waits");
        // the measurement of a costly hash gives the same mean for an ordinary one
        queue.state.measured(MEAN * 5, costly);
        assert_eq!(queue.state.mean, MEAN);
        queue.state.finished(costly);
        queue.serve(1);
        assert_eq!(wait(&queue), Duration::ZERO);
        // jobs are admitted up to one second of work
        let admitted = |cost| {
            let mut queue = SteppedQueue::of(1);
            (0..20).filter(|_| queue.ask(HONEST, Purpose::SignIn, cost)).count()
        };
        assert_eq!((admitted(ORDINARY), admitted(costly)), (11, 3));
    }

    #[test]
    fn s5_memory_of_running_hashes_is_bounded() {
        let mut queue = SteppedQueue::of(3);
        let most = ORDINARY.memory_kib * 3;
        let hungry = Cost { memory_kib: most * 2, ..ORDINARY };
        for (address, cost) in
            [(HONEST, ORDINARY), (FLOOD, hungry), (HONEST, ORDINARY), (HONEST, ORDINARY)]
        {
            assert!(queue.ask(address, Purpose::SignIn, cost));
        }
        let first = queue.state.next(queue.now).unwrap();
        assert_eq!(first.network, network(HONEST));
        // its turn has come, and no other job overtakes it
        assert!(queue.next().is_none(), "the hash needs more memory than is free");
        assert!(queue.state.has_work_for_another());
        queue.state.finished(first.cost);
        assert_eq!(queue.next(), Some((network(FLOOD), Purpose::SignIn)));
        assert!(queue.next().is_none(), "the hash runs alone");
        queue.state.finished(hungry);
        assert!(queue.next().is_some() && queue.next().is_some());
        assert_eq!(queue.state.queued(), 0);
        // hashes that fit together run together
        let mut queue = SteppedQueue::of(3);
        let half = Cost { memory_kib: most / 2, ..ORDINARY };
        for _ in 0..3 {
            assert!(queue.ask(FLOOD, Purpose::SignIn, half));
        }
        assert!(queue.next().is_some() && queue.next().is_some());
        assert!(queue.next().is_none());
    }
}
