//! `vestibule hash …`: calibrates the costs of password hashes.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};
use figment::Figment;
use serde::Serialize;
use vestibule::clock::Clock;
use vestibule::config::Lifetime;
use vestibule::crypto::calibration::{Calibrated, MIN_ITERATIONS, MIN_MEMORY_KIB, calibrate};

use super::CommandError;
use super::error::failed;
use super::output::print_result;

#[derive(Args)]
pub struct HashArguments {
    #[command(subcommand)]
    command: HashCommand,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum HashCommand {
    /// Measure the costs at which a password hash takes a given time on this machine
    Calibrate {
        /// Maximum time of a hash while all slots are busy
        #[arg(long, value_name = "TIME", default_value = "250ms")]
        target: Lifetime,
        /// Maximum memory of a hash, in KiB; each slot holds it permanently
        #[arg(long, value_name = "KIB", default_value_t = 65_536)]
        memory: u32,
    },
}

/// Recommended costs; `docs/operating/limits.md` documents the members.
#[derive(Serialize)]
struct Recommended {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    slots: usize,
    /// Time of one hash while every slot is busy.
    hash_ms: f64,
    /// Rate of all slots together.
    hashes_per_second: f64,
    /// Memory that all slots together hold permanently.
    memory_held_kib: u64,
    /// Whether the target was met. The minimum costs are recommended even if they take longer.
    within_target: bool,
}

pub fn run(figment: &Figment, arguments: &HashArguments) -> Result<(), CommandError> {
    let HashCommand::Calibrate { target, memory } = arguments.command;
    let slots: NonZeroUsize =
        figment.extract_inner("vestibule.hashing.slots").map_err(|error| failed(&error))?;
    let slots = slots.get();
    let calibrated = calibrate(target.duration(), memory, slots, &Clock::system());
    let Calibrated { memory_kib, iterations, took } = calibrated.map_err(|error| failed(&error))?;
    let recommended = Recommended {
        memory_kib,
        iterations,
        parallelism: 1,
        slots,
        hash_ms: took.as_secs_f64() * 1e3,
        hashes_per_second: slots as f64 / took.as_secs_f64().max(1e-9),
        memory_held_kib: slots as u64 * u64::from(memory_kib),
        within_target: took <= target.duration(),
    };
    print_result(arguments.json, &recommended, |recommended| in_words(recommended, target))
}

fn in_words(recommended: &Recommended, target: Lifetime) -> String {
    let Recommended { memory_kib, iterations, parallelism, slots, .. } = recommended;
    let mut text = format!(
        "[default.vestibule.hashing]\nmemory_kib = {memory_kib}\niterations = {iterations}\n\
         parallelism = {parallelism}\nslots = {slots}\n\
         # a hash takes {:.0} ms with {slots} in parallel: {:.1} sign-ins per second, {} MiB held",
        recommended.hash_ms,
        recommended.hashes_per_second,
        recommended.memory_held_kib / 1_024
    );
    if !recommended.within_target {
        text.push_str(&format!(
            "\n# longer than {target}, at the minimum costs: {MIN_MEMORY_KIB} KiB and \
             {MIN_ITERATIONS} iterations"
        ));
    }
    text
}
