//! Fair queue: deficit round robin over nested networks (Shreedhar and Varghese, 1996).
//!
//! Networks with entries take turns. In each turn a network gets the same amount of work served,
//! however many entries it has. The subnets of a network share its turns in the same way. So a
//! network with a long queue delays itself, and delays another network by one turn. A network that
//! is alone gets all turns.
//!
//! This module knows networks and amounts of work; it must not know passwords or time.

use std::collections::VecDeque;

use crate::model::Subnet;

/// An entry that takes some work to serve.
pub(super) trait QueueEntry {
    /// Work of the entry, in a unit that all entries share; more than zero.
    fn work(&self) -> u64;
}

/// The queue, or the part of one network in it.
pub(super) struct FairQueue<T> {
    /// Entries of the network itself, oldest first. Only the narrowest networks have any.
    entries: VecDeque<T>,
    /// Subnets with entries. The first one has its turn.
    parts: VecDeque<SubnetQueue<T>>,
    /// Work of all entries, including entries of the parts.
    work: u64,
}

struct SubnetQueue<T> {
    subnet: Subnet,
    /// Work that the network may still get served in its turn.
    credit: u64,
    queue: FairQueue<T>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), parts: VecDeque::new(), work: 0 }
    }
}

impl<T: QueueEntry> FairQueue<T> {
    /// Work of all entries.
    pub(super) const fn work(&self) -> u64 {
        self.work
    }

    /// The widest networks with entries, and the work of each.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Subnet, u64)> {
        self.parts.iter().map(|part| (part.subnet, part.queue.work))
    }

    /// Work of one of the widest networks.
    pub(super) fn work_of(&self, subnet: Option<&Subnet>) -> u64 {
        let part = self.parts.iter().find(|part| Some(&part.subnet) == subnet);
        part.map_or(0, |part| part.queue.work)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.parts.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.parts.iter().map(|part| part.queue.len()).sum::<usize>()
    }

    /// Queues an entry of the network at the end of `subnets`. A network that had no entries has
    /// its first turn after all the others, with `quantum` as its credit.
    pub(super) fn push(&mut self, subnets: &[Subnet], entry: T, quantum: u64) {
        self.work += entry.work();
        let Some((first, rest)) = subnets.split_first() else {
            return self.entries.push_back(entry);
        };
        let part = match self.parts.iter().position(|part| part.subnet == *first) {
            Some(known) => known,
            None => {
                let (subnet, queue) = (*first, Self::default());
                self.parts.push_back(SubnetQueue { subnet, credit: quantum, queue });
                self.parts.len() - 1
            }
        };
        self.parts[part].queue.push(rest, entry, quantum);
    }

    /// Work that would be served before a new entry of the network with `own` work: all queued work
    /// of the network itself, and of each other network at most that amount plus `own`.
    pub(super) fn work_before(&self, subnets: &[Subnet], own: u64) -> u64 {
        let Some((first, rest)) = subnets.split_first() else { return self.work };
        let same = self.parts.iter().find(|part| part.subnet == *first);
        let within = same.map_or(0, |part| part.queue.work_before(rest, own));
        let others = self.parts.iter().filter(|part| part.subnet != *first);
        within + others.map(|part| part.queue.work.min(within + own)).sum::<u64>()
    }

    /// The entry whose turn it is. A network whose credit does not pay for its next entry gets
    /// `quantum` more credit and waits for its next turn.
    pub(super) fn peek(&mut self, quantum: u64) -> Option<&T> {
        while let Some(part) = self.parts.front_mut() {
            let needed = part.queue.peek(quantum)?.work();
            if part.credit >= needed {
                break;
            }
            self.end_turn(quantum);
        }
        self.front()
    }

    fn front(&self) -> Option<&T> {
        match self.parts.front() {
            Some(part) => part.queue.front(),
            None => self.entries.front(),
        }
    }

    /// Takes the entry whose turn it is.
    pub(super) fn pop(&mut self, quantum: u64) -> Option<T> {
        self.peek(quantum)?;
        self.pop_front(quantum)
    }

    fn pop_front(&mut self, quantum: u64) -> Option<T> {
        let entry = match self.parts.front_mut() {
            None => self.entries.pop_front()?,
            Some(part) => {
                let entry = part.queue.pop_front(quantum)?;
                part.credit = part.credit.saturating_sub(entry.work());
                let is_turn_over = part.credit < quantum;
                // a network without entries keeps no credit
                let is_gone = self.parts.pop_front_if(|part| part.queue.is_empty()).is_some();
                if !is_gone && is_turn_over {
                    self.end_turn(quantum);
                }
                entry
            }
        };
        self.work -= entry.work();
        Some(entry)
    }

    /// Ends the turn of the first network, which moves to the end.
    fn end_turn(&mut self, quantum: u64) {
        if let Some(mut part) = self.parts.pop_front() {
            part.credit += quantum.max(1);
            self.parts.push_back(part);
        }
    }

    /// Removes entries from the front of each network's own queue while `is_expired` holds for
    /// them.
    pub(super) fn remove_expired(&mut self, is_expired: &impl Fn(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        while let Some(entry) = self.entries.pop_front_if(|entry| is_expired(entry)) {
            removed.push(entry);
        }
        for part in &mut self.parts {
            removed.extend(part.queue.remove_expired(is_expired));
        }
        self.parts.retain(|part| !part.queue.is_empty());
        self.work -= removed.iter().map(QueueEntry::work).sum::<u64>();
        removed
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Network;

    /// Work of an ordinary entry, and of a turn.
    const UNIT: u64 = 10;

    struct Item(&'static str, u64);

    impl QueueEntry for Item {
        fn work(&self) -> u64 {
            self.1
        }
    }

    fn subnets(address: &str) -> Vec<Subnet> {
        Network::of(address.parse().ok()).subnets()
    }

    fn push(queue: &mut FairQueue<Item>, address: &'static str, times: usize, work: u64) {
        for _ in 0..times {
            queue.push(&subnets(address), Item(address, work), UNIT);
        }
    }

    fn served(queue: &mut FairQueue<Item>, times: usize) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop(UNIT)).map(|item| item.0).take(times).collect()
    }

    const A: &str = "192.0.2.1";
    const B: &str = "198.51.100.1";
    const C: &str = "203.0.113.1";

    #[test]
    fn s5_networks_take_turns_whatever_their_queue_lengths() {
        let mut queue = FairQueue::default();
        push(&mut queue, A, 5, UNIT);
        push(&mut queue, B, 2, UNIT);
        assert_eq!(served(&mut queue, 2), [A, B]);
        push(&mut queue, C, 1, UNIT);
        assert_eq!(served(&mut queue, 9), [A, B, C, A, A, A]);
        assert!(queue.is_empty() && queue.work() == 0);
    }

    #[test]
    fn s5_network_with_repeated_requests_gets_every_second_turn() {
        let mut queue = FairQueue::default();
        push(&mut queue, A, 20, UNIT);
        let mut order = Vec::new();
        for _ in 0..6 {
            push(&mut queue, B, 1, UNIT);
            order.extend(served(&mut queue, 2));
        }
        assert_eq!(order.iter().filter(|address| **address == A).count(), 6, "{order:?}");
    }

    #[test]
    fn s5_stream_of_new_networks_gets_at_most_every_second_turn() {
        let mut queue = FairQueue::default();
        push(&mut queue, A, 20, UNIT);
        let mut order = Vec::new();
        for address in [B, C, "2001:db8::1", "2001:db8:1::1", "2001:db8:2::1", "233.252.0.1"] {
            push(&mut queue, address, 1, UNIT);
            order.extend(served(&mut queue, 2));
        }
        assert_eq!(order.iter().filter(|address| **address == A).count(), 6, "{order:?}");
    }

    #[test]
    fn s5_turns_are_equal_in_work() {
        let mut queue = FairQueue::default();
        push(&mut queue, A, 4, 3 * UNIT);
        push(&mut queue, B, 20, UNIT);
        let order = served(&mut queue, 12);
        let of = |wanted| order.iter().filter(|address| **address == wanted).count();
        assert_eq!((of(A), of(B)), (3, 9), "{order:?}");
        let mut queue = FairQueue::default();
        push(&mut queue, A, 10, UNIT / 2);
        push(&mut queue, B, 10, UNIT);
        assert_eq!(served(&mut queue, 6), [A, B, A, A, B, A]);
        // an entry of much work is served at once if it is alone
        let mut queue = FairQueue::default();
        push(&mut queue, A, 1, 64 * UNIT);
        assert_eq!(served(&mut queue, 1), [A]);
    }

    #[test]
    fn s5_nested_networks_share_the_turns_of_the_widest() {
        for (flood, honest) in [
            // a /48 full of /64s, the same within one /56, and an IPv4 /24
            (["2001:db8:1:100::1", "2001:db8:1:200::1", "2001:db8:1:300::1"], "2001:db8:2::1"),
            (["2001:db8:1:101::1", "2001:db8:1:102::1", "2001:db8:1:103::1"], "2001:db8:1:200::1"),
            (["192.0.2.1", "192.0.2.2", "192.0.2.3"], "192.0.3.1"),
        ] {
            let mut queue = FairQueue::default();
            for address in flood {
                push(&mut queue, address, 4, UNIT);
            }
            push(&mut queue, honest, 3, UNIT);
            let [one, two, three] = flood;
            let order = served(&mut queue, 8);
            assert_eq!(order, [one, honest, two, honest, three, honest, one, two], "{honest}");
        }
    }

    #[test]
    fn s5_work_before_an_entry_equals_the_work_served_before_it() {
        let mut queue = FairQueue::default();
        push(&mut queue, A, 6, UNIT);
        push(&mut queue, "192.0.2.2", 2, UNIT);
        push(&mut queue, B, 2, UNIT);
        for (address, before) in [
            (C, 2),
            (B, 5),
            ("198.51.100.2", 3),
            // within the /24: two of its own, and three of the address beside it
            ("192.0.2.2", 7),
            (A, 10),
            ("192.0.2.3", 4),
        ] {
            assert_eq!(queue.work_before(&subnets(address), UNIT), before * UNIT, "{address}");
        }
        // the entry is served after the expected number of others
        push(&mut queue, "192.0.2.3", 1, UNIT);
        let order = served(&mut queue, 11);
        assert_eq!(order.iter().position(|address| *address == "192.0.2.3"), Some(4));
    }

    #[test]
    fn s5_expired_entries_leave_the_queue_of_every_network() {
        let mut queue = FairQueue::default();
        push(&mut queue, A, 2, UNIT);
        push(&mut queue, B, 1, UNIT);
        push(&mut queue, B, 2, 3 * UNIT);
        let removed = queue.remove_expired(&|item: &Item| item.1 == UNIT);
        assert_eq!((removed.len(), queue.len(), queue.work()), (3, 2, 6 * UNIT));
        assert_eq!(served(&mut queue, 3), [B, B]);
    }
}
