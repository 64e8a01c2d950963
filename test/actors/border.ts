// A universe whose two apps run as different users of one group: the office as root, its visitors as nobody.
import { channel, defineUniverse, type Session } from '../../src/index.ts';

/** The user that has no rights. */
export const nobody = 65_534;

export const border = defineUniverse('border', {
  office: {
    allow: ['visitor'],
    permissions: 'group',
    uid: 0,
    gid: 0,
    channels: {
      notes: channel<{ up: number; down: number }>({ capacityBytes: 1024 }),
      orders: channel<{ down: 'flood' }>({ capacityBytes: 1024 }),
    },
  },
  visitor: { uid: nobody, gid: 0 },
});

export type OfficeSession = Session<typeof border.office, 'server'>;
export type VisitorSession = Session<typeof border.office, 'client'>;
