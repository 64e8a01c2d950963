// NATS user: a key that the engine knows somebody by. The server has the public half alone; the seed stands in a file of the user's.

export interface NatsUserKey {
  /** As a server's configuration names it. */
  readonly nkey: string;
  readonly seed: string;
}

export async function newNatsUserKey(): Promise<NatsUserKey> {
  const { nkeys } = await import('@nats-io/transport-node');
  const pair = nkeys.createUser();
  return { nkey: pair.getPublicKey(), seed: new TextDecoder().decode(pair.getSeed()) };
}
