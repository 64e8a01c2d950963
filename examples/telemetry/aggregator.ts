// The aggregator: takes samples from probes and gives summaries to whoever looks. One session machine for each client, of
// the kind that its app needs.
import { serve, sessionOf, sessionSetup } from 'actor-ipc';
import { assertEvent, fromCallback } from 'xstate';
import { telemetry } from './universe.ts';
import { SampleWindow } from './window.ts';

const summaryPeriodMs = 500;

const samples = new SampleWindow();

const ingest = sessionSetup(telemetry.aggregator, 'server', {
  actions: {
    keep: ({ event }) => {
      assertEvent(event, 'message.samples');
      samples.add(event.message);
    },
  },
}).createMachine({
  initial: 'taking',
  states: { taking: { on: { 'message.samples': { actions: 'keep' } } } },
});

const view = sessionSetup(telemetry.aggregator, 'server', {
  actors: {
    summaries: fromCallback(({ input }) => {
      const timer = setInterval(() => {
        const summary = samples.summary();
        // Who reads slowly misses a summary; the next one is the better for it.
        if (summary) input.session.channels.summaries.trySend(summary);
      }, summaryPeriodMs);
      return () => clearInterval(timer);
    }),
  },
  actions: {
    answer: ({ event, self }) => {
      assertEvent(event, 'message.history');
      sessionOf(telemetry.aggregator, self).channels.history.reply(
        event,
        samples.loads(event.message.seconds),
      );
    },
  },
}).createMachine({
  initial: 'showing',
  states: { showing: { invoke: { src: 'summaries' }, on: { 'message.history': { actions: 'answer' } } } },
});

await serve(telemetry.aggregator, { probe: ingest, client: view, alerts: view });
