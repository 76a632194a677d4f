//! The transition against the true minimum, for all pairs out of a rich set (promise 9).
//!
//! A *world* is a few addresses and a few kinds (condition and length). A slot holds one of the
//! addresses and is off or on with one of the kinds; so a bank is one of some thousands, and a
//! set of windows to be armed one of a few hundred. A MOV changes the address of one slot, or the
//! kinds of all. What may be passed through depends only on the windows armed before and the
//! windows wanted: for each such pair one search, backwards from all banks in which exactly the
//! wanted windows are armed, finds how far away every bank is. No idea of how to plan is in it.

use super::*;

/// The same for every address, so that all combinations are windows. (Other alignments are in
/// the random test.)
const ALIGNED: [usize; 4] = [0x10, 0x20, 0x30, 0x40];
const UNREACHED: u8 = u8::MAX;

/// Bit `address * kinds + kind`: the windows of a world, or some of them.
type Windows = u16;

struct World {
    addresses: usize,
    kinds: usize,
    slots: usize,
    /// For each bank what is armed, and whether nothing is armed twice. The number of a bank:
    /// the kinds (0 is off) are its low digits, the addresses its high ones.
    banks: Vec<(Windows, bool)>,
    /// For each set of windows, the banks that have armed exactly these, each once.
    having: Vec<Vec<usize>>,
}

impl World {
    fn new(addresses: usize, kinds: usize, slots: usize) -> World {
        let mut world = World { addresses, kinds, slots, banks: vec![], having: vec![] };
        world.having = vec![vec![]; 1 << (addresses * kinds)];
        for number in 0..world.controls() * addresses.pow(slots as u32) {
            let (mut armed, mut once) = (0, true);
            for (address, kind) in world.digits(number) {
                if kind > 0 {
                    let window = 1 << (address * kinds + kind - 1);
                    once &= armed & window == 0;
                    armed |= window;
                }
            }
            world.banks.push((armed, once));
            if once {
                world.having[usize::from(armed)].push(number);
            }
        }
        world
    }

    /// How many values of DR7 there are.
    fn controls(&self) -> usize {
        (self.kinds + 1).pow(self.slots as u32)
    }

    /// Address and kind of each slot.
    fn digits(&self, number: usize) -> impl Iterator<Item = (usize, usize)> {
        let (mut kinds, mut addresses) = (number % self.controls(), number / self.controls());
        (0..self.slots).map(move |_| {
            let slot = (addresses % self.addresses, kinds % (self.kinds + 1));
            addresses /= self.addresses;
            kinds /= self.kinds + 1;
            slot
        })
    }

    fn window(&self, index: usize) -> Window {
        let (condition, length) = KINDS[index % self.kinds];
        Window::new(ALIGNED[index / self.kinds], length, condition).unwrap()
    }

    fn windows(&self, set: Windows) -> Vec<Window> {
        let indices = 0..self.addresses * self.kinds;
        indices.filter(|index| set & 1 << index != 0).map(|index| self.window(index)).collect()
    }

    /// The bank itself; what DR7 has left of a slot that is off is anything.
    fn bank(&self, number: usize) -> Bank {
        let mut bank = Bank::RESET;
        for (slot, (address, kind)) in Slot::ALL.into_iter().zip(self.digits(number)) {
            let (condition, length) = KINDS[kind.checked_sub(1).unwrap_or(address % self.kinds)];
            bank.addresses[slot.index()] = ALIGNED[address];
            bank.control = bank.control.arm(slot, condition, length);
            if kind == 0 {
                bank.control = bank.control.disarm(slot);
            }
        }
        bank
    }

    /// How many writes each bank is away from having exactly `new` armed, if nothing is passed
    /// through that watches what is in neither set or misses what is in both.
    fn distances(&self, old: Windows, new: Windows, distances: &mut [u8]) {
        distances.fill(UNREACHED);
        let allowed = |number: usize| {
            (self.banks[number].0 & !(old | new)) | (old & new & !self.banks[number].0) == 0
        };
        let controls = self.controls();
        let mut queue: Vec<usize> = self.having[usize::from(new)].clone();
        let mut controls_done = vec![false; self.banks.len() / controls];
        queue.iter().for_each(|number| distances[*number] = 0);
        let mut next = 0;
        while let Some(&number) = queue.get(next) {
            next += 1;
            let writes = distances[number] + 1;
            let mut reach = |other: usize| {
                if distances[other] == UNREACHED && allowed(other) {
                    distances[other] = writes;
                    queue.push(other);
                }
            };
            let addresses = number / controls;
            let mut unit = 1;
            for _ in 0..self.slots {
                let without = addresses - addresses / unit % self.addresses * unit;
                (0..self.addresses).for_each(|digit| {
                    reach((without + digit * unit) * controls + number % controls)
                });
                unit *= self.addresses;
            }
            // Any DR7 leads to any other, so the first one of these addresses leads to all.
            if !std::mem::replace(&mut controls_done[addresses], true) {
                (0..controls).for_each(|control| reach(addresses * controls + control));
            }
        }
    }

    /// Compares for every bank and every set of windows that fits; returns how many pairs.
    fn compare(&self) -> usize {
        let fits = |set: &Windows| set.count_ones() as usize <= self.slots;
        let sets: Vec<_> = (0..1 << (self.addresses * self.kinds)).filter(fits).collect();
        let mut distances = vec![UNREACHED; self.banks.len()];
        let mut pairs = 0;
        for &new in &sets {
            let wanted = self.windows(new);
            for &old in &sets {
                self.distances(old, new, &mut distances);
                let spare = self.windows(old & !new);
                for &number in &self.having[usize::from(old)] {
                    let bank = self.bank(number);
                    let plan = transition(&bank, &wanted, &[], self.slots);
                    let least = usize::from(distances[number]);
                    assert_eq!(plan.writes().len(), least, "{bank:?} to {wanted:?}: {plan:?}");
                    // To spare an address is worth no write.
                    let sparing = transition(&bank, &wanted, &spare, self.slots);
                    assert_eq!(sparing.writes().len(), least, "{bank:?}, sparing {spare:?}");
                    pairs += 1;
                }
            }
        }
        pairs
    }
}

/// Promise 9: the number of writes is the least that any order reaches, for all pairs; the
/// figures are how many there are.
#[test]
fn promise_9_every_transition_is_the_shortest() {
    let worlds: &[(usize, usize, usize, usize)] = if cfg!(miri) {
        &[(2, 1, 2, 56)]
    } else {
        &[(4, 2, 4, 2_401_968), (3, 3, 4, 3_587_328), (4, 3, 3, 1_059_656), (4, 3, 2, 19_276)]
    };
    for &(addresses, kinds, slots, expected) in worlds {
        let pairs = World::new(addresses, kinds, slots).compare();
        std::println!("{addresses} addresses, {kinds} kinds, {slots} slots: {pairs} transitions");
        assert_eq!(pairs, expected);
    }
}
