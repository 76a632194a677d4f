//! A register file of three registers.

use super::*;

/// Two words of different width, and one that is not available when it is zero.
#[derive(Clone, PartialEq, Default, Debug)]
struct Three {
    wide: u32,
    narrow: u16,
    hidden: u8,
}

impl Registers for Three {
    type ProgramCounter = u32;

    fn pc(&self) -> u32 {
        self.wide
    }

    fn gdb_serialize(&self, mut write_byte: impl FnMut(Option<u8>)) {
        self.wide.to_le_bytes().into_iter().for_each(|byte| write_byte(Some(byte)));
        self.narrow.to_le_bytes().into_iter().for_each(|byte| write_byte(Some(byte)));
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let [a, b, c, d, e, f] = *bytes else {
            return Err(());
        };
        self.wide = u32::from_le_bytes([a, b, c, d]);
        self.narrow = u16::from_le_bytes([e, f]);
        Ok(())
    }
}

impl RegisterFile for Three {
    const SIZES: &'static [u8] = &[4, 2, 1];
    const IN_BLOCK: usize = 2;
    type All = [u8; 7];
    const ALL: [u8; 7] = [0; 7];

    fn serialize_all(&self, mut write_byte: impl FnMut(Option<u8>)) {
        self.gdb_serialize(&mut write_byte);
        write_byte((self.hidden != 0).then_some(self.hidden));
    }

    fn deserialize_all(&mut self, bytes: &[u8]) -> Result<(), WrongRegister> {
        let [block @ .., hidden] = bytes else {
            return Err(WrongRegister::Size);
        };
        self.gdb_deserialize(block).map_err(|()| WrongRegister::Size)?;
        self.hidden = *hidden;
        Ok(())
    }
}

const VALUES: Three = Three { wide: 0x0403_0201, narrow: 0x0605, hidden: 7 };

#[test]
fn places_follow_from_sizes() {
    assert_eq!(length(Three::SIZES), 7);
    assert_eq!(place(Three::SIZES, 0), Some(0..4));
    assert_eq!(place(Three::SIZES, 1), Some(4..6));
    assert_eq!(place(Three::SIZES, 2), Some(6..7));
    assert_eq!(place(Three::SIZES, 3), None);
    assert_eq!(place(Three::SIZES, usize::MAX), None);
    assert_eq!(block::<Three>(), [4, 2]);
}

#[test]
fn the_block_is_taken_and_nothing_else() {
    let mut registers = Three { wide: 9, narrow: 9, hidden: 9 };
    assert_eq!(copy_block(&mut registers, &VALUES), Ok(()));
    assert_eq!(registers, Three { hidden: 9, ..VALUES });
}

#[test]
fn one_register_is_read() {
    let mut into = [0xEE; 5];
    assert_eq!(read_register(&VALUES, 0, &mut into), 4);
    assert_eq!(into, [1, 2, 3, 4, 0xEE]);
    assert_eq!(read_register(&VALUES, 1, &mut into), 2);
    assert_eq!(into, [5, 6, 3, 4, 0xEE]);
    assert_eq!(read_register(&VALUES, 2, &mut into), 1);
    assert_eq!(into, [7, 6, 3, 4, 0xEE]);
    assert_eq!(read_register(&Three::default(), 2, &mut into), 1);
    assert_eq!(into, [0, 6, 3, 4, 0xEE], "not available");
}

#[test]
fn what_cannot_be_read_leaves_the_room_alone() {
    let mut into = [0xEE; 3];
    assert_eq!(read_register(&VALUES, 0, &mut into), 0, "no room");
    assert_eq!(read_register(&VALUES, 3, &mut into), 0, "no register");
    assert_eq!(into, [0xEE; 3]);
}

#[test]
fn one_register_is_written() {
    let mut registers = VALUES;
    assert_eq!(write_register(&mut registers, 1, &[0xBB, 0xAA]), Ok(()));
    assert_eq!(registers, Three { narrow: 0xAABB, ..VALUES });
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let mut registers = VALUES;
    assert_eq!(write_register(&mut registers, 3, &[0]), Err(WrongRegister::Unknown));
    assert_eq!(write_register(&mut registers, 0, &[0; 3]), Err(WrongRegister::Size));
    assert_eq!(write_register(&mut registers, 0, &[0; 5]), Err(WrongRegister::Size));
    assert_eq!(registers, VALUES);
}
