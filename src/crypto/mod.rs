//! Randomness and password hashing. No other module draws random bytes or hashes passwords.

pub mod calibration;
pub mod entropy;
mod fair_queue;
mod hash_queue;
pub mod hasher;
