//! Who gets a register: filling, over-filling, who asks first, whose is whose.
