// The server: one session machine for each visitor. It answers each message with one.
import { serve, sessionOf, sessionSetup } from 'actor-ipc';
import { assertEvent } from 'xstate';
import { universe } from './universe.ts';

const session = sessionSetup(universe.greeter, 'server', {
  actions: {
    greet: ({ event, self }) => {
      assertEvent(event, 'message.greetings');
      const text = `Hello ${event.message.name}, this is process ${process.pid}`;
      sessionOf(universe.greeter, self).channels.greetings.trySend({ text });
    },
  },
}).createMachine({ on: { 'message.greetings': { actions: 'greet' } } });

await serve(universe.greeter, session);
