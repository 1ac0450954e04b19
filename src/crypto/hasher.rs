//! Password hasher: Argon2id on its own threads, behind a bounded queue.
//!
//! A hash costs tens of milliseconds of a core and megabytes of memory by design (RFC 9106). So it
//! is the one resource here that a stranger can make the service spend. [`Hasher`] owns this
//! resource: a fixed number of slots. Each slot is a thread with its own memory, which it reuses
//! for every hash. (An allocation per hash made the service grow to many times the size of its
//! slots.) A slot without work frees its memory after `IDLE_TIMEOUT` (10 s).
//!
//! - Refusal: a request that would wait too long gets [`HashError::Busy`] at once, before any work.
//! - Fairness: networks take turns, so each caller says which network it comes from.
//! - Order: sign-in comes before sign-up. While a sign-up waits, at least every eighth job is a
//!   sign-up.
//!
//! This module must not know accounts. Its caller decides which hash belongs to which account, and
//! stores a better hash when [`Verification::Right`] says that the stored one is outdated.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::crypto::entropy::Entropy;
use crate::crypto::hash_queue::{Cost, HashQueue, HashResult, Job, Receiver, Task};
pub use crate::crypto::hash_queue::{HashError, Purpose};
use crate::metrics::HashingMetrics;
use crate::model::Network;

/// Largest memory of a stored hash, as a multiple of the configured memory. The memory of a slot
/// grows to the needs of a hash; the part beyond the configured memory is freed after that hash.
const MAX_MEMORY_FACTOR: u32 = 8;
/// Time that a slot without work keeps its memory. A new allocation costs a few milliseconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Smallest allocation of a slot, in blocks of 1 KiB: 33 MiB. The slot touches only the blocks that
/// it needs. glibc returns every freed allocation above 32 MiB to the system; it may keep smaller
/// ones for good, and soon does.
const MIN_BLOCKS: usize = 33 * 1_024;
/// Largest number of passes of a stored hash, or the configured number if that is higher.
const MAX_ITERATIONS: u32 = 16;
/// Niceness of a hashing thread: a third of the processor share of an ordinary thread, by the
/// kernel's table of weights.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Cost of a hash, and the number of concurrent hashes.
#[derive(Clone, Debug)]
pub struct HashingParameters {
    /// Memory of one hash in KiB; at least 8 × `parallelism` (RFC 9106 §3.1). OWASP asks for 19456
    /// with two iterations.
    pub memory_kib: u32,
    /// Passes over the memory; at least 1.
    pub iterations: u32,
    /// Lanes; at least 1. A slot computes them one after the other; only slots run in parallel.
    pub parallelism: u32,
    /// Concurrent hashes, each with its own thread and memory; at least 1.
    pub slots: usize,
    /// Longest wait for a slot; longer than zero.
    pub max_wait: Duration,
}

impl HashingParameters {
    /// The costs as Argon2's parameters, with a tag of 32 bytes (RFC 9106 §4).
    ///
    /// # Errors
    /// When a number lies outside the limits of RFC 9106 §3.1.
    pub fn argon2(&self) -> Result<Params, argon2::Error> {
        let length = Some(Params::DEFAULT_OUTPUT_LEN);
        Params::new(self.memory_kib, self.iterations, self.parallelism, length)
    }
}

/// Stored hash of a password, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`.
#[derive(Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a string from storage. The string is parsed only when a password is verified against
    /// it.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for storage.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm and its costs, `argon2id v=19 m=19456,t=2,p=1`, without salt and tag.
    pub fn costs(&self) -> String {
        self.0.split('$').skip(1).take(3).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

/// Result of the verification of a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// The password does not match.
    Wrong,
    /// The password matches.
    Right {
        /// A cost, or the length of the tag, is below the present one, so the caller should replace
        /// the hash.
        outdated: bool,
    },
}

/// Load of a [`Hasher`], for metrics.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Passwords that wait for a hashing slot.
    pub queued: usize,
    /// Busy slots.
    pub running: usize,
    /// All slots.
    pub slots: usize,
    /// Smoothed duration of the last few hashes, for the present parameters.
    pub mean: Duration,
}

/// Hashes and verifies passwords. Cheap to clone. The threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Hasher(Arc<PoolHandle>);

impl Hasher {
    /// Starts the slots without waiting for them. Each slot allocates its memory and measures one
    /// hash on its own thread.
    ///
    /// # Errors
    /// When Argon2 does not accept the parameters, or the system provides no thread.
    pub fn start(of: HashingParameters, clock: Clock, entropy: Entropy) -> io::Result<Self> {
        Self::start_keeping_memory(of, clock, entropy, IDLE_TIMEOUT)
    }

    fn start_keeping_memory(
        of: HashingParameters,
        clock: Clock,
        entropy: Entropy,
        idle: Duration,
    ) -> io::Result<Self> {
        // The handle comes first: if a thread cannot be started, its drop ends the threads before
        // it.
        let hasher = Self::with(&of, clock, entropy)?;
        for slot in 0..of.slots {
            let shared = Arc::clone(&hasher.0.shared);
            thread::Builder::new().name(format!("hash-{slot}")).spawn(move || {
                lower_priority();
                shared.serve(idle);
            })?;
        }
        Ok(hasher)
    }

    /// A hasher without threads and memory, for commands that hash no password. Each request gets
    /// [`HashError::Lost`].
    ///
    /// # Errors
    /// When Argon2 does not accept the parameters.
    pub fn idle(of: &HashingParameters, clock: Clock, entropy: Entropy) -> io::Result<Self> {
        let hasher = Self::with(of, clock, entropy)?;
        hasher.0.shared.lock().stopped = true;
        Ok(hasher)
    }

    fn with(of: &HashingParameters, clock: Clock, entropy: Entropy) -> io::Result<Self> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
        let params = of.argon2().map_err(|error| invalid(&error.to_string()))?;
        if of.slots == 0 {
            return Err(invalid("a hasher needs at least one slot"));
        }
        let state = HashQueue::new(of.slots, of.max_wait, Cost::from(&params));
        let shared =
            Arc::new(SharedQueue { params, clock, state: Mutex::new(state), work: Condvar::new() });
        Ok(Self(Arc::new(PoolHandle { shared, entropy })))
    }

    /// Checks whether a hash would be admitted now, without reserving a place. Callers ask this
    /// before other work for a request that will need a hash.
    ///
    /// # Errors
    /// [`HashError::Busy`] if the hash would wait too long.
    pub fn admit(&self, purpose: Purpose, network: Network) -> Result<(), HashError> {
        let state = self.0.shared.lock();
        state.admit(purpose, network, state.ordinary())
    }

    /// Hashes a password with the present parameters and 16 random bytes of salt (RFC 9106 §3.1,
    /// NIST SP 800-63B-4 §3.1.1.2).
    ///
    /// # Errors
    /// [`HashError::Busy`] if the hash would wait too long, or did; [`HashError::Lost`].
    pub async fn hash(
        &self,
        password: &[u8],
        purpose: Purpose,
        network: Network,
    ) -> Result<PasswordHash, HashError> {
        let params = &self.0.shared.params;
        let salt = self.fresh_salt();
        let tag = self.derive(password, salt, params.clone(), purpose, network).await?;
        self.phc(salt, tag)
    }

    /// Hashes a password with the parameters of `against`, and compares the two hashes in constant
    /// time.
    ///
    /// # Errors
    /// [`HashError::Malformed`] if `against` is not an Argon2id hash of sensible cost; this is
    /// checked before any work. Otherwise as [`Hasher::hash`].
    pub async fn verify(
        &self,
        password: &[u8],
        against: &PasswordHash,
        purpose: Purpose,
        network: Network,
    ) -> Result<Verification, HashError> {
        let current = &self.0.shared.params;
        let (params, salt, stored) = parse_phc(against, current)?;
        let outdated = params.m_cost() < current.m_cost()
            || params.t_cost() < current.t_cost()
            || params.p_cost() < current.p_cost()
            || params.output_len() < current.output_len();
        let tag = self.derive(password, salt, params, purpose, network).await?;
        let same = bool::from(tag.as_bytes().ct_eq(stored.as_bytes()));
        Ok(if same { Verification::Right { outdated } } else { Verification::Wrong })
    }

    /// A decoy hash with the present parameters, which no known password matches. Verification
    /// against it, for an address without an account, costs as much as one with an account, so that
    /// the response time does not tell them apart (OWASP, Authentication).
    ///
    /// # Errors
    /// [`HashError::Malformed`] when the parameters have no PHC string.
    pub fn decoy(&self) -> Result<PasswordHash, HashError> {
        let tag = self.0.entropy.bytes::<{ Params::DEFAULT_OUTPUT_LEN }>();
        let tag = phc::Output::new(&tag).map_err(|_| HashError::Malformed("tag"))?;
        self.phc(self.fresh_salt(), tag)
    }

    fn phc(&self, salt: phc::Salt, tag: phc::Output) -> Result<PasswordHash, HashError> {
        let phc = phc::PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: (&self.0.shared.params)
                .try_into()
                .map_err(|_| HashError::Malformed("parameters"))?,
            salt: Some(salt),
            hash: Some(tag),
        };
        Ok(PasswordHash(phc.to_string()))
    }

    /// The load now.
    pub fn load(&self) -> Load {
        let state = self.0.shared.lock();
        let (queued, running, slots) = (state.queued(), state.running(), state.slots());
        Load { queued, running, slots, mean: state.mean }
    }

    /// Longest wait of a password for a slot.
    pub fn max_wait(&self) -> Duration {
        self.0.shared.lock().max_wait
    }

    /// Counters of the hasher.
    pub fn metrics(&self) -> HashingMetrics {
        self.0.shared.lock().metrics.clone()
    }

    #[expect(clippy::expect_used, reason = "a salt may have 8 to 48 bytes, and this has 16")]
    fn fresh_salt(&self) -> phc::Salt {
        phc::Salt::new(&self.0.entropy.bytes::<16>()).expect("16 bytes make a salt")
    }

    async fn derive(
        &self,
        password: &[u8],
        salt: phc::Salt,
        params: Params,
        purpose: Purpose,
        network: Network,
    ) -> Result<phc::Output, HashError> {
        let password = Zeroizing::new(password.to_vec());
        let cost = Cost::from(&params);
        let task: Task = Box::new(move |memory| argon2id(&password, &salt, &params, memory));
        self.enqueue(purpose, network, cost, task)?.await.unwrap_or(Err(HashError::Lost))
    }

    fn enqueue(
        &self,
        purpose: Purpose,
        network: Network,
        cost: Cost,
        task: Task,
    ) -> Result<Receiver, HashError> {
        let shared = &self.0.shared;
        let (reply, receiver) = oneshot::channel();
        let mut state = shared.lock();
        if state.stopped {
            return Err(HashError::Lost);
        }
        state.admit(purpose, network, cost)?;
        state.push(Job { task, reply, purpose, network, cost, since: shared.clock.instant() });
        drop(state);
        shared.work.notify_one();
        Ok(receiver)
    }
}

/// For tests: a network's full share of the queue, while no slot becomes free. The drop ends all
/// these jobs.
#[cfg(feature = "testing")]
#[derive(Debug)]
pub struct FullShare {
    _gate: std::sync::mpsc::Sender<()>,
    _receivers: Vec<Receiver>,
}

#[cfg(feature = "testing")]
impl Hasher {
    /// For tests: fills every slot and the network's share of the queue, until the result is
    /// dropped.
    pub(crate) fn fill_share(&self, network: Network) -> FullShare {
        let (gate, opened) = std::sync::mpsc::channel::<()>();
        let opened = Arc::new(Mutex::new(opened));
        let cost = {
            let mut state = self.0.shared.lock();
            // a share of about a hundred hashes for each slot
            state.mean = state.max_wait / 200;
            state.ordinary()
        };
        let mut receivers = Vec::new();
        for purpose in [Purpose::SignIn, Purpose::SignUp] {
            loop {
                let opened = Arc::clone(&opened);
                let task: Task = Box::new(move |_| {
                    // `recv` fails once the gate is dropped
                    let _ = opened.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    Err(HashError::Lost)
                });
                match self.enqueue(purpose, network, cost, task) {
                    Ok(receiver) => receivers.push(receiver),
                    // a slot that has yet to take its job will make room for another one
                    Err(_) if self.load().running < self.load().slots => thread::yield_now(),
                    Err(_) => break,
                }
            }
        }
        FullShare { _gate: gate, _receivers: receivers }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.load()).finish()
    }
}

/// State that the clones of a [`Hasher`] share, and its threads do not. The drop ends the threads.
struct PoolHandle {
    shared: Arc<SharedQueue>,
    entropy: Entropy,
}

impl Drop for PoolHandle {
    fn drop(&mut self) {
        // No join: it could block an async thread for the duration of a hash.
        self.shared.lock().stopped = true;
        self.shared.work.notify_all();
    }
}

/// Lowers the priority of this thread, on Linux. The thread gets a smaller share of a contended
/// processor: a hash takes a little longer, and sign-ins do not slow down requests without a hash
/// (R51).
fn lower_priority() {
    #[cfg(target_os = "linux")]
    // a system may forbid this; the service works without it
    let _ = rustix::process::nice(NICENESS);
}

fn parse_phc(
    hash: &PasswordHash,
    current: &Params,
) -> Result<(Params, phc::Salt, phc::Output), HashError> {
    let malformed = HashError::Malformed;
    let phc = phc::PasswordHash::new(&hash.0).map_err(|_| malformed("not a PHC string"))?;
    if phc.algorithm != ARGON2ID_IDENT || phc.version != Some(Version::V0x13.into()) {
        return Err(malformed("not Argon2id of version 19"));
    }
    let params = Params::try_from(&phc).map_err(|_| malformed("parameters"))?;
    if params.m_cost() > current.m_cost().saturating_mul(MAX_MEMORY_FACTOR)
        || params.t_cost() > current.t_cost().max(MAX_ITERATIONS)
    {
        return Err(malformed("costs above the limit"));
    }
    let (salt, tag) = phc.salt.zip(phc.hash).ok_or(malformed("without salt or tag"))?;
    Ok((params, salt, tag))
}

pub(super) fn argon2id(
    password: &[u8],
    salt: &[u8],
    params: &Params,
    memory: &mut Vec<Block>,
) -> HashResult {
    let blocks = params.block_count().max(memory.len());
    // `resize` alone would double the allocation for one missing block
    memory.reserve_exact(blocks.max(MIN_BLOCKS) - memory.len());
    memory.resize(blocks, Block::new());
    let mut tag = [0; phc::Output::MAX_LENGTH];
    let tag = &mut tag[..params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, salt, tag, memory.as_mut_slice())?;
    phc::Output::new(tag).map_err(|_| HashError::Malformed("tag"))
}

/// State that slots and callers share. The lock is held only to inspect and move jobs, never while
/// a job runs.
struct SharedQueue {
    params: Params,
    clock: Clock,
    state: Mutex<HashQueue>,
    work: Condvar,
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, HashQueue> {
        // no panic interrupts a change under the lock, so a poisoned state is whole
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a slot on its thread until the hasher is dropped.
    fn serve(&self, idle: Duration) {
        let mut memory = Vec::new();
        let began = self.clock.instant();
        let ordinary = Cost::from(&self.params);
        if argon2id(b"", &[0; 16], &self.params, &mut memory).is_ok() {
            self.lock().measured(self.clock.instant() - began, ordinary);
        }
        while let Some(Job { task, reply, cost, .. }) = self.take(&mut memory, idle) {
            let began = self.clock.instant();
            // unwind-safe: the next hash overwrites the memory completely
            let outcome = catch_unwind(AssertUnwindSafe(|| task(&mut memory)));
            let took = self.clock.instant() - began;
            // frees memory beyond an ordinary hash, for the other slots
            if memory.len() > self.params.block_count() {
                memory = Vec::new();
            }
            let mut state = self.lock();
            state.finished(cost);
            if outcome.is_ok() {
                state.measured(took, cost);
            }
            drop(state);
            match outcome {
                // the send fails if the caller is gone
                Ok(hashed) => drop(reply.send(hashed)),
                Err(_) => tracing::error!("a password hash panicked"),
            }
        }
    }

    /// Waits for the next job of a slot. The slot's memory is freed after `idle` without a job.
    fn take(&self, memory: &mut Vec<Block>, idle: Duration) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                // no caller waits for the answers any more; the passwords are wiped
                state.clear();
                return None;
            }
            if let Some(job) = state.next(self.clock.instant()) {
                // another slot may have waited for memory that is free now
                if state.has_work_for_another() {
                    self.work.notify_one();
                }
                return Some(job);
            }
            if memory.is_empty() {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.work.wait_timeout(state, idle);
            let (locked, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = locked;
            if timeout.timed_out() {
                *memory = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    const PASSWORD: &[u8] = b"correct horse battery";
    const HERE: Network = Network::UNKNOWN;

    fn ordinary(hasher: &Hasher) -> Cost {
        hasher.0.shared.lock().ordinary()
    }

    /// One slot, and a negligible cost.
    fn tiny() -> HashingParameters {
        let max_wait = Duration::from_secs(60);
        HashingParameters { memory_kib: 64, iterations: 1, parallelism: 1, slots: 1, max_wait }
    }

    fn start(parameters: HashingParameters) -> Hasher {
        Hasher::start(parameters, Clock::system(), Entropy).unwrap()
    }

    /// Queues a task that runs `act` and returns no hash.
    fn queue(hasher: &Hasher, purpose: Purpose, act: impl FnOnce() + Send + 'static) -> Receiver {
        let task: Task = Box::new(move |_| {
            act();
            Err(HashError::Lost)
        });
        hasher.enqueue(purpose, HERE, ordinary(hasher), task).unwrap()
    }

    /// Keeps the slot busy until the returned sender is dropped.
    fn occupy(hasher: &Hasher) -> mpsc::Sender<()> {
        let (started, when_started) = mpsc::channel();
        let (gate, when_released) = mpsc::channel();
        let _receiver = queue(hasher, Purpose::SignIn, move || {
            started.send(()).unwrap();
            let _ = when_released.recv();
        });
        when_started.recv().unwrap();
        gate
    }

    #[tokio::test]
    async fn idle_hasher_refuses_at_once() {
        let hasher = Hasher::idle(&tiny(), Clock::system(), Entropy).unwrap();
        assert!(matches!(hasher.hash(PASSWORD, Purpose::SignUp, HERE).await, Err(HashError::Lost)));
    }

    /// Queues a task that writes its purpose into `log` when it is served.
    fn note(hasher: &Hasher, of: Purpose, log: &mpsc::Sender<Purpose>) -> Receiver {
        let log = log.clone();
        queue(hasher, of, move || log.send(of).unwrap())
    }

    /// Address of the slot's memory, and its number of blocks.
    async fn memory(hasher: &Hasher) -> (usize, usize) {
        let (seen, look) = mpsc::channel();
        let task: Task = Box::new(move |memory| {
            seen.send((memory.as_ptr() as usize, memory.len())).unwrap();
            Err(HashError::Lost)
        });
        let _ = hasher.enqueue(Purpose::SignIn, HERE, ordinary(hasher), task).unwrap().await;
        look.recv().unwrap()
    }

    #[tokio::test]
    async fn r41_hash_contains_argon2id_its_costs_and_a_fresh_salt() {
        let hasher = start(tiny());
        let first = hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        let second = hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        let first: Vec<&str> = first.as_str().split('$').collect();
        let second: Vec<&str> = second.as_str().split('$').collect();
        assert_eq!(first[..4], ["", "argon2id", "v=19", "m=64,t=1,p=1"]);
        assert_eq!((first[4].len(), first[5].len()), (22, 43), "16 and 32 bytes in Base64");
        assert!(first[4] != second[4] && first[5] != second[5]);
    }

    #[tokio::test]
    async fn r41_only_the_exact_password_matches() {
        let hasher = start(tiny());
        let hash = hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        let right = hasher.verify(PASSWORD, &hash, Purpose::SignIn, HERE).await.unwrap();
        assert_eq!(right, Verification::Right { outdated: false });
        for wrong in [&b"correct horse batterz"[..], b"", &PASSWORD[1..]] {
            let verdict = hasher.verify(wrong, &hash, Purpose::SignIn, HERE).await.unwrap();
            assert_eq!(verdict, Verification::Wrong);
        }
        let decoy = hasher.decoy().unwrap();
        assert_eq!(decoy.costs(), hash.costs());
        let verdict = hasher.verify(PASSWORD, &decoy, Purpose::SignIn, HERE).await.unwrap();
        assert_eq!(verdict, Verification::Wrong);
        assert_eq!(format!("{hash:?}"), "PasswordHash(redacted)");
    }

    #[tokio::test]
    async fn r41_hash_is_outdated_after_a_parameter_rises() {
        let stored = start(tiny()).hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        for (parameters, outdated) in [
            (HashingParameters { memory_kib: 65, ..tiny() }, true),
            (HashingParameters { iterations: 2, ..tiny() }, true),
            (HashingParameters { parallelism: 2, ..tiny() }, true),
            (HashingParameters { memory_kib: 32, ..tiny() }, false),
        ] {
            let verdict = start(parameters).verify(PASSWORD, &stored, Purpose::SignIn, HERE).await;
            assert_eq!(verdict.unwrap(), Verification::Right { outdated });
        }
    }

    #[tokio::test]
    async fn hash_matches_the_reference_implementation() {
        // From the test vectors of phc-winner-argon2, src/test.c.
        let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ\
                      $nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let stored = PasswordHash::new(stored.to_owned());
        let verdict = start(tiny()).verify(b"password", &stored, Purpose::SignIn, HERE).await;
        assert_eq!(verdict.unwrap(), Verification::Right { outdated: false });
    }

    #[tokio::test]
    async fn malformed_hash_is_refused_before_any_work() {
        let hasher = start(tiny());
        let _gate = occupy(&hasher);
        for malformed in [
            "",
            "hunter2",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
            "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
            "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
            "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
            "$argon2id$v=19$m=513,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
            "$argon2id$v=19$m=64,t=17,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
        ] {
            let stored = PasswordHash::new(malformed.to_owned());
            let answer = hasher.verify(PASSWORD, &stored, Purpose::SignIn, HERE).await;
            assert!(matches!(answer, Err(HashError::Malformed(_))), "{malformed}: {answer:?}");
        }
    }

    #[tokio::test]
    async fn r51_request_with_too_long_a_wait_is_refused_at_once() {
        let hasher = start(HashingParameters { max_wait: Duration::from_secs(4), ..tiny() });
        let gate = occupy(&hasher);
        hasher.0.shared.lock().mean = Duration::from_millis(1_400);
        let waiting = queue(&hasher, Purpose::SignUp, || ());
        // One runs and one waits: a sign-in has 1.4 s before it, and a sign-up 2.8 s of 2 s.
        hasher.admit(Purpose::SignIn, HERE).unwrap();
        for refused in [
            hasher.admit(Purpose::SignUp, HERE),
            hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.map(drop),
            hasher
                .verify(PASSWORD, &hasher.decoy().unwrap(), Purpose::SignUp, HERE)
                .await
                .map(drop),
        ] {
            let Err(HashError::Busy { retry_after }) = refused else { panic!("{refused:?}") };
            assert_eq!(retry_after, Duration::from_secs(3));
        }
        let load = hasher.load();
        assert_eq!((load.queued, load.running), (1, 1), "a refused hash is not queued");
        drop(gate);
        let _ = waiting.await;
        hasher.admit(Purpose::SignUp, HERE).unwrap();
    }

    #[tokio::test]
    async fn r51_job_past_its_deadline_is_not_run() {
        let hasher = start(HashingParameters { max_wait: Duration::ZERO, ..tiny() });
        let answer = hasher.hash(PASSWORD, Purpose::SignIn, HERE).await;
        assert!(
            matches!(answer, Err(HashError::Busy { retry_after }) if retry_after.as_secs() == 1)
        );
    }

    #[tokio::test]
    async fn sign_ins_come_first_and_every_eighth_job_is_a_waiting_sign_up() {
        let hasher = start(tiny());
        let (log, served) = mpsc::channel();
        let gate = occupy(&hasher);
        let coming = [[Purpose::SignUp; 2].as_slice(), &[Purpose::SignIn; 9]].concat();
        let _waiting: Vec<_> = coming.iter().map(|of| note(&hasher, *of, &log)).collect();
        drop((gate, log));
        let order: Vec<_> = served.iter().map(|of| of == Purpose::SignIn).collect();
        assert_eq!(order, [&[true; 7][..], &[false], &[true; 2], &[false]].concat());
    }

    #[tokio::test]
    async fn dropped_request_is_not_hashed() {
        let hasher = start(tiny());
        let (log, served) = mpsc::channel();
        let gate = occupy(&hasher);
        drop(note(&hasher, Purpose::SignIn, &log));
        let _waiting = note(&hasher, Purpose::SignUp, &log);
        drop((gate, log));
        assert_eq!(served.iter().collect::<Vec<_>>(), [Purpose::SignUp]);
    }

    #[tokio::test]
    async fn slot_keeps_its_memory_and_grows_only_for_a_costlier_hash() {
        let hasher = start(tiny());
        let (at_start, blocks) = memory(&hasher).await;
        assert_eq!(blocks, 64);
        for _ in 0..3 {
            hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        }
        assert_eq!(memory(&hasher).await, (at_start, 64));
        let costly = start(HashingParameters { memory_kib: 80, ..tiny() });
        let stored = costly.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        let verdict = hasher.verify(PASSWORD, &stored, Purpose::SignIn, HERE).await.unwrap();
        assert_eq!(verdict, Verification::Right { outdated: false });
        assert_eq!(memory(&hasher).await.1, 0, "the excess is freed");
        hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        assert_eq!(memory(&hasher).await.1, 64);
    }

    /// A queued hash has the cost of its stored parameters.
    #[tokio::test]
    async fn s5_stored_hash_costs_as_its_parameters() {
        let hasher = start(HashingParameters { max_wait: Duration::from_secs(4), ..tiny() });
        let costly = start(HashingParameters { memory_kib: 128, iterations: 4, ..tiny() });
        let stored = costly.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        let gate = occupy(&hasher);
        hasher.0.shared.lock().mean = Duration::from_millis(200);
        let mut costly = Box::pin(hasher.verify(PASSWORD, &stored, Purpose::SignIn, HERE));
        // one ordinary hash runs, and one of eight times its work waits: 1.8 s of 2 s
        assert!(costly.as_mut().now_or_never().is_none());
        let wait = {
            let state = hasher.0.shared.lock();
            state.expected_wait(Purpose::SignIn, HERE, state.ordinary())
        };
        assert_eq!(wait, Duration::from_millis(1_800));
        drop(gate);
        assert_eq!(costly.await.unwrap(), Verification::Right { outdated: false });
    }

    #[tokio::test]
    async fn idle_slot_frees_its_memory_and_allocates_again() {
        let idle = Duration::from_millis(1);
        let hasher = Hasher::start_keeping_memory(tiny(), Clock::system(), Entropy, idle).unwrap();
        let stored = hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        while memory(&hasher).await.1 > 0 {
            thread::sleep(idle * 2);
        }
        let verdict = hasher.verify(PASSWORD, &stored, Purpose::SignIn, HERE).await.unwrap();
        assert_eq!(verdict, Verification::Right { outdated: false });
    }

    #[tokio::test]
    async fn panic_loses_one_hash_and_no_slot() {
        let hasher = start(tiny());
        let answer = queue(&hasher, Purpose::SignIn, || panic!("by intent"));
        assert!(answer.await.is_err());
        hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        assert_eq!(hasher.load().running, 0);
    }

    #[tokio::test]
    async fn threads_end_with_the_last_hasher() {
        let hasher = start(HashingParameters { slots: 3, ..tiny() });
        let shared = Arc::downgrade(&hasher.0.shared);
        drop(hasher.clone());
        hasher.hash(PASSWORD, Purpose::SignUp, HERE).await.unwrap();
        drop(hasher);
        while shared.strong_count() > 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn invalid_parameters_are_refused_at_start() {
        let start = |parameters| Hasher::start(parameters, Clock::system(), Entropy);
        let starved = start(HashingParameters { memory_kib: 7, ..tiny() });
        assert!(starved.is_err());
        let none = start(HashingParameters { slots: 0, ..tiny() });
        assert!(none.is_err());
    }
}
