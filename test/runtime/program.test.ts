// The parts of a program: what serve and connect give back.
import { assert } from 'chai';
import { channel, defineUniverse } from '../../src/index.ts';
import { Court, holder } from '../actors/pair.ts';

const two = defineUniverse('two', {
  one: { allow: ['other'], channels: { words: channel<{ up: string }>() } },
  other: { allow: ['one'], channels: { words: channel<{ up: string }>() } },
});

describe('serve()', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  it('gives back its own part when others are started meanwhile', async () => {
    const runtime = court.runtime();
    const serving = runtime.serve(
      two.one,
      holder(() => {}),
    );
    const others = [
      runtime.serve(
        two.other,
        holder(() => {}),
      ),
      runtime.connect(
        two.other,
        two.one,
        holder(() => {}),
      ),
    ];
    const part = await serving;
    for (const other of await Promise.all(others)) assert.notStrictEqual(part, other);
    await part.stop();
    // Its name is free again, and only its.
    await runtime.serve(
      two.one,
      holder(() => {}),
    );
  });

  it('settles when the program is stopped before it serves', async () => {
    const runtime = court.runtime();
    const serving = runtime.serve(
      two.one,
      holder(() => {}),
    );
    await runtime.stop();
    await (await serving).ended;
  });
});

describe('connect()', () => {
  it('gives each of many an address of its own, and the plain one to the next when it is free', async () => {
    const court = new Court();
    const runtime = court.runtime();
    const connect = () =>
      runtime.connect(
        two.other,
        two.one,
        holder(() => {}),
      );
    const ofPart = () => runtime.host.addresses.filter((address) => /^other-one(#\d+)?$/.test(address));
    const first = await connect();
    await connect();
    await connect();
    assert.deepEqual(ofPart(), ['other-one', 'other-one#2', 'other-one#3']);
    await first.stop();
    await connect();
    await connect();
    assert.sameMembers(ofPart(), ['other-one#2', 'other-one#3', 'other-one', 'other-one#4']);
    await court.close();
  });
});
