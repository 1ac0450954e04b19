//! Letters: which there are, how they look, and how they leave.
//!
//! Whoever causes a letter posts it to the [`Outbox`] in the transaction that causes it. The
//! [`Courier`] claims what is due, finds out what the letter has to say by then, mints its link,
//! renders it and hands it to a [`Transport`]. Nothing here waits for a mail server while a request
//! is being answered, and no live link is ever stored.

mod advice;
mod breaker;
mod cause;
mod content;
mod courier;
mod desk;
mod diagnosis;
mod failure;
mod in_flight;
mod letter;
mod outbox;
mod refusals;
mod render;
mod smtp;
mod transport;
mod trial;

pub use breaker::Breaker;
pub use cause::{Cause, LetterCap};
pub use courier::{Courier, Delivered};
pub use desk::{Desk, Done, NotDone};
pub use diagnosis::Diagnosis;
pub use failure::{CertificateFault, Failure, Fault, Stage, Trouble};
pub use letter::Letter;
pub use outbox::{Outbox, Recipient};
pub use render::{Envelope, RenderError, Rendered, Renderer, SenderError};
pub use transport::{Mailbox, SentLetter, Transport, TransportError};
pub use trial::{Trial, TrialError};
