//! Randomness and password hashing; nothing else draws or hashes.

pub mod calibration;
mod fair_queue;
pub mod hasher;
mod queue;
pub mod secret;
