//! Randomness and password hashing; nothing else draws or hashes.

pub mod calibration;
pub mod hasher;
mod queue;
pub mod secret;
