//! Calibration: finds the Argon2id costs with which a hash takes a given time on this machine (RFC
//! 9106 §4).

use std::thread;
use std::time::{Duration, Instant};

use argon2::{Block, Params};

use super::hasher::{HashingParameters, argon2id};
use crate::clock::Clock;

/// Lowest costs that are recommended (R41; OWASP, Password Storage).
pub const MIN_MEMORY_KIB: u32 = 19_456;
/// Lowest number of passes that is recommended (R41; OWASP, Password Storage).
pub const MIN_ITERATIONS: u32 = 2;
/// Highest number of passes that the settings accept.
const MAX_ITERATIONS: u32 = 16;
/// Hashes that each slot measures; the result is the median over all slots.
const SAMPLES: usize = 5;
/// Recommended memory is a multiple of 1 MiB.
const STEP_KIB: u32 = 1_024;

/// Costs, and the duration of a hash with them.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// Memory of one hash in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Duration of one hash while all slots are busy.
    pub took: Duration,
}

/// Finds the costs whose duration comes closest to `target` from below.
///
/// - Memory grows first, up to `most_memory_kib`, because memory is the expensive part of an
///   attack; then passes are added.
/// - The costs are never below the recommended minimum, even if that takes longer than `target`.
/// - The measurement runs for some seconds.
///
/// # Errors
/// When Argon2 does not accept the parameters.
pub fn calibrate(
    target: Duration,
    most_memory_kib: u32,
    slots: usize,
    clock: &Clock,
) -> Result<Calibrated, argon2::Error> {
    choose(target, most_memory_kib, |memory_kib, iterations| {
        let max_wait = Duration::MAX;
        let of = HashingParameters { memory_kib, iterations, parallelism: 1, slots, max_wait };
        Ok(median(&of.argon2()?, slots, clock))
    })
}

/// As [`calibrate`], with `measure` for the duration of a hash.
fn choose<E>(
    target: Duration,
    most_memory_kib: u32,
    measure: impl Fn(u32, u32) -> Result<Duration, E>,
) -> Result<Calibrated, E> {
    let try_with = |memory_kib: u32, iterations: u32| {
        let memory_kib = memory_kib.max(MIN_MEMORY_KIB);
        let iterations = iterations.clamp(MIN_ITERATIONS, MAX_ITERATIONS);
        let took = measure(memory_kib, iterations)?;
        Ok(Calibrated { memory_kib, iterations, took })
    };
    let share = |of: &Calibrated| target.as_secs_f64() / of.took.as_secs_f64().max(1e-9);
    let mut best = try_with(MIN_MEMORY_KIB, MIN_ITERATIONS)?;
    // the time grows with memory times passes, except for effects of caches; so the guess is
    // refined
    for _ in 0..2 {
        let wanted = (f64::from(best.memory_kib) * share(&best)) as u32 / STEP_KIB * STEP_KIB;
        best = try_with(wanted.min(most_memory_kib), MIN_ITERATIONS)?;
    }
    for _ in 0..2 {
        let wanted = (f64::from(best.iterations) * share(&best)) as u32;
        if wanted.clamp(MIN_ITERATIONS, MAX_ITERATIONS) != best.iterations {
            best = try_with(best.memory_kib, wanted)?;
        }
    }
    Ok(best)
}

/// Median duration of a hash with all slots busy: slots share caches and memory bandwidth.
fn median(params: &Params, slots: usize, clock: &Clock) -> Duration {
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let slots: Vec<_> =
            (0..slots).map(|_| scope.spawn(|| measure_slot(params, clock))).collect();
        slots.into_iter().filter_map(|slot| slot.join().ok()).flatten().collect()
    });
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn measure_slot(params: &Params, clock: &Clock) -> Vec<Duration> {
    let mut memory = vec![Block::new(); params.block_count()];
    let mut time = || {
        let began: Instant = clock.instant();
        let _ = argon2id(b"", &[0; 16], params, &mut memory);
        clock.instant() - began
    };
    // not counted: the first hash touches memory that the system has yet to provide
    time();
    (0..SAMPLES).map(|_| time()).collect()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The costs chosen on a machine on which a pass over 1 MiB takes `micros` µs.
    fn chosen(micros: u64, target: u64, most_kib: u32) -> (u32, u32, u128) {
        let measure = |memory: u32, passes: u32| {
            let took = u64::from(memory) * u64::from(passes) * micros / 1_024;
            Ok::<_, Infallible>(Duration::from_micros(took))
        };
        let Ok(best) = choose(Duration::from_millis(target), most_kib, measure);
        (best.memory_kib, best.iterations, best.took.as_millis())
    }

    #[test]
    fn r41_memory_grows_before_passes() {
        // at 500 µs the floor takes 19 ms
        assert_eq!(chosen(500, 50, 1 << 20), (50 * 1_024, 2, 50));
        assert_eq!(chosen(500, 100, 64 * 1_024), (64 * 1_024, 3, 96));
        assert_eq!(chosen(500, 60_000, 64 * 1_024), (64 * 1_024, 16, 512));
    }

    #[test]
    fn r41_recommended_costs_are_never_below_the_minimum() {
        assert_eq!(chosen(5_000, 50, 1 << 20), (19_456, 2, 190));
        assert_eq!(chosen(500, 1, 1_024), (19_456, 2, 19));
    }

    #[test]
    fn calibration_measures_real_hashes() {
        let params = Params::new(64, 1, 1, None).unwrap();
        assert!(median(&params, 2, &Clock::system()) > Duration::ZERO);
    }
}
