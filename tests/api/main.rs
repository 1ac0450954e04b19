//! The HTTP API over Rocket's local client, with a stepped clock and a database for each test.

mod smoke;
