// Two apps that differ in who may connect to them at all; their guest runs as another user.
import { channel, defineUniverse } from '../../src/index.ts';

export function agency(guestUid: number, permissions: 'user' | 'group' = 'group') {
  const identity = { uid: process.geteuid!(), gid: process.getegid!() };
  return defineUniverse('agency', {
    open: {
      allow: ['guest'],
      permissions,
      channels: { words: channel<{ down: string }>({ capacityBytes: 1024 }) },
      uid: identity.uid,
      gid: identity.gid,
    },
    guest: { uid: guestUid, gid: identity.gid },
  });
}
