//! Letters: the outbox, the composer, the renderer and the delivery.
//!
//! 1. A use case posts a letter to the [`Outbox`], in the transaction that causes the letter.
//! 2. The [`Courier`] claims letters that are due, composes each from the present state, mints its
//!    link, renders it and hands it to a [`Transport`].
//!
//! No HTTP request waits for a mail server, and no usable link is ever stored.

mod admin;
mod advice;
mod circuit_breaker;
mod composer;
mod courier;
mod delivery_failure;
mod diagnosis;
mod in_flight;
mod letter;
mod outbox;
mod refusals;
mod render;
mod smtp;
mod test_letter;
mod transport;

pub use crate::model::{LetterCap, LetterRequest};
pub use admin::{AdminError, AdminOutcome, OutboxAdmin};
pub use advice::Diagnosis;
pub use circuit_breaker::CircuitBreaker;
pub use composer::Composer;
pub use courier::{Courier, Delivered};
pub use delivery_failure::{
    CertificateFault, ConnectionError, DeliveryFailure, FailureClass, Stage,
};
pub use letter::Letter;
pub use outbox::{Outbox, Recipient};
pub use render::{Envelope, RenderError, Rendered, Renderer, SenderError};
pub use smtp::TransportError;
pub use test_letter::{TestLetter, TestLetterError};
pub use transport::{Mailbox, SentLetter, Transport};
