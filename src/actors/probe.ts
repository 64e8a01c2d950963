// Probe: the probe machine with real looks: a connection, a request, a program, an answer on the control socket.
import { type ChildProcess, spawn } from 'node:child_process';
import { get } from 'node:http';
import { connect } from 'node:net';
import { messageOf } from '../errors.ts';
import { type ProbeReport, probeMachine } from '../machines/probe.ts';
import type { Address } from '../names.ts';
import type { Probe, ProbeBy } from '../spec/probe.ts';
import { Handles, type Host } from './hosting.ts';

/** Ends a look before its answer. */
type EndLook = () => void;

/** One look: calls back once, with why it failed or with nothing. */
export type Look = (answer: (failure?: string) => void) => EndLook;

interface ProbeHandle {
  readonly look: Look;
  readonly post: (
    event: { type: 'look.passed'; look: number } | { type: 'look.failed'; look: number; why: string },
  ) => void;
  readonly onReport: (report: ProbeReport) => void;
  end: EndLook;
}
const probes = new Handles<ProbeHandle>('look');

const probeLogic = probeMachine.provide({
  actions: {
    beginLook: ({ self }, { look }) => {
      const probe = probes.of(self);
      probe.end = probe.look((failure) =>
        probe.post(
          failure === undefined ? { type: 'look.passed', look } : { type: 'look.failed', look, why: failure },
        ),
      );
    },
    endLook: ({ self }) => probes.of(self).end(),
    report: ({ self }, report) => probes.of(self).onReport(report),
  },
});

export interface RunningProbe {
  /** It was heard of; for probes that listen. */
  heard(): void;
  stop(): void;
}

export interface ProbeOptions {
  readonly address: Address;
  /** Where programs that look are run. */
  readonly cwd: string;
  /** What they get, which is what the unit itself gets: other units' secrets are not for them. @throws {IpcError} ERR_SECRET_MISSING. */
  readonly env: () => NodeJS.ProcessEnv;
  /** What a look at the control socket does. */
  readonly ask: Look;
  /** What a look at a condition does. */
  readonly see: (text: string) => Look;
  readonly onReport: (report: ProbeReport) => void;
}

export function startProbe(
  host: Host,
  { by, periodMs, timeoutMs, failures }: Probe,
  { address, cwd, env, ask, see, onReport }: ProbeOptions,
): RunningProbe {
  const handle: ProbeHandle = {
    look: by.kind === 'reported' ? ask : by.kind === 'condition' ? see(by.text) : lookOf(by, cwd, env),
    post: (event) => hosted.post(event),
    onReport,
    end() {},
  };
  const hosted = host.start(probeLogic, {
    address,
    input: { how: listens(by) ? 'listen' : 'look', periodMs, timeoutMs, failures },
    bind: (actor) => probes.bind(actor, handle),
  });
  return {
    heard: () => hosted.post({ type: 'heard' }),
    stop() {
      handle.end();
      hosted.stop();
    },
  };
}

/** Whether there is nothing to look at, only something to hear. */
export function listens({ kind }: ProbeBy): boolean {
  return kind === 'log' || kind === 'notify-fd';
}

function lookOf(by: ProbeBy, cwd: string, env: ProbeOptions['env']): Look {
  switch (by.kind) {
    case 'tcp':
      return (answer) => lookByTcp(by, answer);
    case 'http':
      return (answer) => lookByHttp(by.url, answer);
    case 'exec':
      return (answer) => lookByProgram(by, cwd, env, answer);
    default:
      return () => () => {};
  }
}

function lookByTcp({ host, port }: { host: string; port: number }, answer: Parameters<Look>[0]): EndLook {
  const socket = connect({ host, port });
  socket.once('connect', () => {
    socket.destroy();
    answer();
  });
  socket.once('error', (error) => answer(`${host}:${port} does not accept: ${messageOf(error)}`));
  return () => void socket.destroy();
}

function lookByHttp(url: string, answer: Parameters<Look>[0]): EndLook {
  const request = get(url, { agent: false }, (response) => {
    const { statusCode = 0 } = response;
    // Only the head is of interest, and the body may have no end.
    response.destroy();
    answer(statusCode >= 200 && statusCode < 400 ? undefined : `${url} answers ${statusCode}`);
  });
  request.on('error', (error) => answer(`${url} does not answer: ${messageOf(error)}`));
  return () => void request.destroy();
}

function lookByProgram(
  { file, args }: { file: string; args: readonly string[] },
  cwd: string,
  env: ProbeOptions['env'],
  answer: Parameters<Look>[0],
): EndLook {
  let program: ChildProcess;
  try {
    program = spawn(file, args, { cwd, env: env(), stdio: 'ignore', detached: true });
  } catch (error) {
    answer(messageOf(error));
    return () => {};
  }
  const end = () => {
    if (program.pid === undefined || program.exitCode !== null || program.signalCode !== null) return;
    try {
      process.kill(-program.pid, 'SIGKILL');
    } catch {
      // It has ended just now.
    }
  };
  program.once('error', (error) => answer(`${file} could not be started: ${messageOf(error)}`));
  program.once('exit', (code, signal) =>
    answer(code === 0 ? undefined : `${file} ended with ${signal ?? `code ${code}`}`),
  );
  return end;
}
