// The client: says its name every second and prints the answers. When the greeter dies, its session is hosed and a new one
// is opened as soon as there is a greeter again.
import { connect, sessionSetup } from 'actor-ipc';
import { assertEvent, fromCallback } from 'xstate';
import { universe } from './universe.ts';

const session = sessionSetup(universe.greeter, 'client', {
  actors: {
    introduction: fromCallback(({ input }) => {
      const timer = setInterval(() => input.session.channels.greetings.trySend({ name: 'visitor' }), 1_000);
      return () => clearInterval(timer);
    }),
  },
  actions: {
    show: ({ event }) => {
      assertEvent(event, 'message.greetings');
      console.log(event.message.text);
    },
  },
}).createMachine({
  initial: 'visiting',
  states: {
    visiting: {
      invoke: { src: 'introduction', onError: 'failed' },
      on: { 'message.greetings': { actions: 'show' } },
    },
    failed: { description: 'Ends the session.', type: 'final' },
  },
});

await connect(universe.visitor, universe.greeter, session);
