//! DR6 and DR7: their bits, and the codec between bits and meaning.
//!
//! Only values here; moving them to and from the registers is the hardware's part
//! ([`DebugRegisters`](crate::machine::DebugRegisters)). Source: Intel SDM vol. 3,
//! 18.2.3–18.2.6; AMD APM vol. 2, 13.1.1.
//!
//! ```text
//! DR7  31 30  29 28  27 26  25 24  23 22  21 20  19 18  17 16
//!      LEN3   R/W3   LEN2   R/W2   LEN1   R/W1   LEN0   R/W0
//!
//!      15 14  13  12  11  10   9   8   7  6  5  4  3  2  1  0
//!       0  0  GD   0  RTM  1  GE  LE  G3 L3 G2 L2 G1 L1 G0 L0
//!
//!      R/W  00 execute · 01 write · 10 i/o (CR4.DE) · 11 read or write
//!      LEN  00 1 byte  · 01 2     · 11 4            · 10 8   <- not in counting order
//!
//! DR6  31..17  16   15  14  13  12  11   10..4  3  2  1  0
//!      1       RTM  BT  BS  BD   0  BLD  1      B3 B2 B1 B0
//!              (RTM and BLD are active-low)
//! ```
//!
//! Both are `u32` on purpose: in 64-bit mode a 1 in the upper half of either is #GP(0).
//!
//! This is the end of the road from a packet to a register; nothing here knows who asks.

mod window;

pub use window::{Condition, Length, Slot, Window};

#[cfg(test)]
mod tests;

/// A value of DR7, the control register.
///
/// ```
/// use tetrarch::dr::{Condition, Dr7, Length, Slot};
///
/// let control = Dr7::OFF.arm(Slot::One, Condition::Write, Length::Four);
/// assert_eq!(control.bits(), 0x00d0_0608);
/// assert_eq!(control.disarm(Slot::One), Dr7::OFF);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dr7(u32);

impl Dr7 {
    /// Nothing armed: the value after reset and after INIT. Bit 10 reads as 1 always.
    pub const OFF: Dr7 = Dr7(0x400);

    /// "Global exact": ignored since the 486, wanted by older parts while anything is armed.
    const GE: u32 = 1 << 9;

    /// Ln and Gn of all slots; either bit arms.
    const ANY_ENABLE: u32 = 0xff;

    /// A value as read from the register.
    pub const fn from_bits(bits: u32) -> Dr7 {
        Dr7(bits)
    }

    /// The value to write to the register.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The same with `slot` armed through Gn, whatever it was before.
    pub const fn arm(self, slot: Slot, condition: Condition, length: Length) -> Dr7 {
        let cleared = self.0 & !Self::mask(slot);
        let kind = condition.bits() | length.bits() << 2;
        Dr7(cleared | 0b10 << (2 * slot.index()) | kind << (16 + 4 * slot.index()) | Self::GE)
    }

    /// The same with `slot` off and its R/W and LEN cleared, so that equal meanings are
    /// equal values.
    pub const fn disarm(self, slot: Slot) -> Dr7 {
        let left = self.0 & !Self::mask(slot);
        if left & Self::ANY_ENABLE == 0 { Dr7(left & !Self::GE) } else { Dr7(left) }
    }

    /// Whether `slot` is enabled, by Ln or by Gn.
    pub const fn is_armed(self, slot: Slot) -> bool {
        self.0 & (0b11 << (2 * slot.index())) != 0
    }

    /// Whether any slot is enabled.
    pub const fn any_armed(self) -> bool {
        self.0 & Self::ANY_ENABLE != 0
    }

    /// What the slot's R/W bits say, armed or not.
    pub const fn condition(self, slot: Slot) -> Condition {
        match (self.0 >> (16 + 4 * slot.index())) & 0b11 {
            0b00 => Condition::Execute,
            0b01 => Condition::Write,
            0b10 => Condition::Io,
            _ => Condition::ReadWrite,
        }
    }

    /// What the slot's LEN bits say, armed or not.
    pub const fn length(self, slot: Slot) -> Length {
        match (self.0 >> (18 + 4 * slot.index())) & 0b11 {
            0b00 => Length::One,
            0b01 => Length::Two,
            0b10 => Length::Eight,
            _ => Length::Four,
        }
    }

    /// Everything about one slot: Ln, Gn, R/Wn and LENn.
    const fn mask(slot: Slot) -> u32 {
        0b11 << (2 * slot.index()) | 0b1111 << (16 + 4 * slot.index())
    }
}

/// A value of DR6, the status register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dr6(u32);

impl Dr6 {
    /// Nothing happened: the value after reset, and the one to write back at every #DB,
    /// because BD, BS and BT stick. Zero would be wrong: RTM and BLD are active-low.
    pub const RESET: Dr6 = Dr6(0xffff_0ff0);

    /// A value as read from the register.
    pub const fn from_bits(bits: u32) -> Dr6 {
        Dr6(bits)
    }

    /// The value as the register has it.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Bn: the slot's condition matched. The slot need not be enabled, so by itself this
    /// means nothing: see [`attribute`](crate::hit::attribute).
    pub const fn hit(self, slot: Slot) -> bool {
        self.0 & (1 << slot.index()) != 0
    }

    /// BD: the next instruction accesses a debug register while DR7.GD was set.
    pub const fn register_access(self) -> bool {
        self.0 & (1 << 13) != 0
    }

    /// BS: a single step ended.
    pub const fn single_step(self) -> bool {
        self.0 & (1 << 14) != 0
    }

    /// The same, but for BS.
    #[must_use]
    pub const fn without_single_step(self) -> Dr6 {
        Dr6(self.0 & !(1 << 14))
    }

    /// BT: a task switch to a TSS with its T bit set.
    pub const fn task_switch(self) -> bool {
        self.0 & (1 << 15) != 0
    }

    /// What happened in either, for exceptions that came one inside the other.
    pub const fn union(self, other: Dr6) -> Dr6 {
        let active_low = Self::RESET.0;
        Dr6(((self.0 | other.0) & !active_low) | (self.0 & other.0 & active_low))
    }
}
