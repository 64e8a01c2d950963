// The kinds of records that travel on a channel's lane. Kind 1 fills the end of the ring and belongs to the lane.

export const recordKind = {
  /** A message in the channel's codec. */
  message: 2,
  /** Request number, then [name, value] in msgpack. */
  request: 3,
  /** Request number, then the value in msgpack. */
  reply: 4,
  /** Request number, then { code, message } in msgpack: why there is no reply. */
  failure: 5,
  /** Request number: the asker no longer waits. */
  cancel: 6,
  /** [index, field names] in msgpack: a shape of objects, told once before its first use. */
  structure: 7,
  /** Nothing follows in this direction. */
  end: 8,
  /** A reference to a block of the sender's arena, which holds a message in the channel's codec. */
  block: 9,
  /** In the lane of releases: slot and generation of a loan that is given back. */
  release: 10,
} as const;
