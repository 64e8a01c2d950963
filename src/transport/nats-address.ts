// NATS address: how one run of a node is called in subjects. Its role stands in front, and whoever says something to it has his own role
// in the subject's last part. The engine lets a user publish and hear what its role may, so an id is worth as much as the role in it.
import { randomUUID } from 'node:crypto';
import type { RelayRole } from '../spec/relay.ts';
import { type Frame, textOf } from './frame.ts';

const pattern = /^[a-z]+\.[0-9a-f-]{36}$/;

export function newNodeId(role: RelayRole): string {
  return `${role}.${randomUUID()}`;
}

/** The id in a frame: it becomes a part of subjects. @throws an Error if it is none. */
export function idOf(frame: Frame, field = 'id'): string {
  const id = textOf(frame, field, 64);
  if (!pattern.test(id)) throw new Error(`frame ${frame.t}: ${field} is no id of a node`);
  return id;
}

export function roleOfId(id: string): RelayRole {
  return id.slice(0, id.indexOf('.')) as RelayRole;
}

/** The id of the sender, who has come in as that role. @throws an Error if it is another's. */
export function senderOf(frame: Frame, role: string): string {
  const id = idOf(frame);
  if (roleOfId(id) !== role) throw new Error(`frame ${frame.t}: a ${role} speaks for ${id}`);
  return id;
}
