// The probe: reads the host's counters ten times a second and sends them to the aggregator.
import { connect, sessionSetup } from 'actor-ipc';
import { fromCallback } from 'xstate';
import { readCounters } from './counters.ts';
import { telemetry } from './universe.ts';

const periodMs = 100;

const session = sessionSetup(telemetry.aggregator, 'client', {
  actors: {
    sampling: fromCallback(({ input }) => {
      // A full ring means that the aggregator is far behind: this sample is then left out, the next one tells as much.
      const timer = setInterval(() => input.session.channels.samples.trySend(readCounters()), periodMs);
      return () => clearInterval(timer);
    }),
  },
}).createMachine({
  initial: 'sampling',
  states: { sampling: { invoke: { src: 'sampling' } } },
});

await connect(telemetry.probe, telemetry.aggregator, session);
