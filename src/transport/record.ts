// The kinds of records that travel on a channel's lane. Kind 1 fills the end of the ring and belongs to the lane.

export const recordKind = {
  /** A message in the channel's codec. */
  message: 2,
  /** Request number, then [name, value, mode, credit, deadline] in msgpack; all but the first two may be missing. */
  request: 3,
  /** Request number, then the value in msgpack. The last record of its request. */
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
  /** Request number, then one of many values in msgpack; `flag.asker` tells who says it. Takes one credit. */
  part: 11,
  /** Request number, then how many more values its receiver has room for. `flag.asker` tells who grants it. */
  credit: 12,
  /** Request number: the asker of a dialog says nothing more. */
  close: 13,
  /** Request number of a reply that was dropped, then [late, unknown]: how many were so far, for which reason. */
  stray: 14,
} as const;

/** Bits in the second byte of a record's mark. */
export const recordFlag = {
  /** In an exchange of many values: it comes from the side that asked. */
  asker: 1,
  /** A handle belongs to it, whose number stands before everything else but the request number. */
  handle: 2,
} as const;

/** What an asker expects. */
export const requestMode = { one: 0, many: 1, dialog: 2 } as const;
export type RequestMode = (typeof requestMode)[keyof typeof requestMode];
