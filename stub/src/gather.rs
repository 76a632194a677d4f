//! Lists of bounded length, of as much as there is room for.
//!
//! `heapless` panics where a list that is collected or extended has no room. Here there always is
//! room for all, and none of the callers can prove it to the compiler; what had none would be left
//! out.

use heapless::Vec;

/// All items, or the first ones, in a new list.
pub(crate) fn gather<T, const ROOM: usize>(items: impl IntoIterator<Item = T>) -> Vec<T, ROOM> {
    let mut list = Vec::new();
    append(&mut list, items);
    list
}

/// All items, or the first ones, behind those that are there.
pub(crate) fn append<T, const ROOM: usize>(
    list: &mut Vec<T, ROOM>,
    items: impl IntoIterator<Item = T>,
) {
    for item in items {
        if list.push(item).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_room_for_is_taken() {
        let list: Vec<u8, 4> = gather(1..=3);
        assert_eq!(list, [1, 2, 3]);
        let mut list: Vec<u8, 4> = gather(1..=9);
        assert_eq!(list, [1, 2, 3, 4]);
        append(&mut list, [5]);
        assert_eq!(list, [1, 2, 3, 4]);
    }
}
