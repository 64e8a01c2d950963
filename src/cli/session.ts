// The commands under `session`: a group of processes whose data stands in a folder. `sessionCommands` adds them to any program;
// the entry `actor-ipc/cli`.
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { IpcError } from '../errors.ts';
import {
  activateSession,
  attachProcess,
  changeDependences,
  deactivateSession,
  initSession,
  listSession,
  openSession,
  processLike,
  removeProcess,
  startProcess,
  stopProcess,
  waitForProcess,
} from '../runtime/session.ts';
import { sessionGraph } from '../runtime/session-graph.ts';
import type { SessionRow } from '../runtime/session-rows.ts';
import type { Started } from '../runtime/session-supervisor.ts';
import { parseCondition } from '../spec/condition.ts';
import { draw, type Format, formatOption } from './drawing.ts';
import { exitCode, exitCodeOfError } from './exit-code.ts';
import { describeRow, describeStart, renderListing } from './session-listing.ts';
import { durationMs } from './tree-options.ts';

/** Options of `sessionCommands`. */
export interface SessionCommandsOptions {
  /** What runs for the uris of a scheme, beside exec://. A session that names its own for a scheme keeps that. */
  readonly schemes?: Readonly<Record<string, { readonly node: string; readonly app?: string }>>;
}

interface CommonOptions {
  readonly workspace: string;
  readonly json?: boolean;
}

interface ProcessOptions extends CommonOptions {
  readonly alias?: string;
  readonly restart?: boolean;
  readonly shutdown?: boolean;
}

const example = `
A session from its beginning, in an empty folder:
  $ __ session init
  $ __ session start --uri "exec://localhost/usr/bin/python3?-m&http.server" --alias web --restart 1 --shutdown 1
  $ __ session wait --alias web --condition "len(fp['listen'])>0" --timeout 60
  $ __ session attach --alias web --state operative
  $ __ session start --uri "exec://localhost/usr/bin/sleep?1000" --alias client --restart 1 --shutdown 1
  $ __ session dependence add --parent web:operative --child client
  $ __ session show
  $ __ session deactivate
  $ __ session activate
`;

/** Adds the command `session` with all that stands below it. */
export function sessionCommands(program: Command, options: SessionCommandsOptions = {}): void {
  const session = program
    .command('session')
    .description('keep a group of processes: start, attach, wait, dependences; the data is in this folder')
    .helpCommand(false)
    .addHelpText('after', example.replaceAll('__', program.name()).replace(/\n$/, ''));
  const { schemes = {} } = options;
  const run = runner(program);

  const verb = (parent: Command, name: string, description: string) =>
    parent
      .command(name)
      .description(description)
      .option('-w, --workspace <folder>', 'the folder of the session', '.');
  const flags = (command: Command) =>
    command
      .option('--restart <0|1>', '1: started again when it ends, and by "activate" (new ones: 0)', flag)
      .option('--shutdown <0|1>', '1: stopped by "deactivate"; 0: it goes on (new ones: 0)', flag);
  const json = (command: Command) => command.option('--json', 'print the result as JSON');
  const aliased = (command: Command, what: string) => command.requiredOption('-a, --alias <alias>', what);
  const timed = (command: Command) =>
    command.option(
      '-t, --timeout <duration>',
      'give up after that (code 5): 60 are seconds, or 500ms, 5m',
      durationMs,
    );

  verb(session, 'init', 'make the folder the workspace of a session; what is there stays as it is').action(
    run(({ workspace }: CommonOptions) => {
      const { folder, isNew } = initSession(resolve(workspace), program.name(), schemes);
      print(
        isNew
          ? `${folder} is the workspace of a session now`
          : `${folder} is a workspace already; nothing has changed`,
      );
    }),
  );

  json(
    flags(
      verb(
        session,
        'start',
        'add the process of a uri, and start it; an alias alone starts one that is known',
      ),
    ),
  )
    .option(
      '-u, --uri <uri>',
      'exec://localhost/path/of/program?argument=value, or a scheme of etc/session.yaml',
    )
    .option('-a, --alias <alias>', 'what you call it; without, it gets a name of two words')
    .addHelpText(
      'after',
      '\nWaits until it is up, has failed (code 1, or 3 without its program), or waits for another process.\nValues of password, passwd, secret, token and key are kept in etc/<name>.secret.yaml and shown nowhere.',
    )
    .action(
      run(async ({ workspace, uri, alias, json, ...wish }: ProcessOptions & { uri?: string }) => {
        if (uri === undefined && alias === undefined)
          throw usage('start', 'name a --uri, or the --alias of one that is known');
        const place = openSession(resolve(workspace), schemes);
        const { started, warnings } = await startProcess(place, uri, { alias, ...wish });
        for (const warning of warnings) process.stderr.write(`${program.name()}: warning: ${warning}\n`);
        tellStart(started, json);
      }),
    );

  json(
    flags(
      verb(
        session,
        'attach',
        'add a process that runs already, or name the state that a known one is in now',
      ),
    ),
  )
    .option('-p, --pid <pid>', 'number of the process', whole)
    .addOption(
      new Option(
        '--fingerprint <file>',
        'the one process of this machine that looks like that saved fingerprint',
      ).conflicts('pid'),
    )
    .option('-a, --alias <alias>', 'what you call it, or the one that is known')
    .option('-s, --state <state>', 'name its present state: how it looks now is how it looks in that state')
    .action(
      run(async ({ workspace, pid, fingerprint, json, ...wish }: AttachOptions) => {
        const names = pid !== undefined || fingerprint !== undefined;
        if (!names && (wish.alias === undefined || wish.state === undefined))
          throw usage(
            'attach',
            'name the --pid or --fingerprint of a process, or --alias and --state of one that is known',
          );
        const place = openSession(resolve(workspace), schemes);
        const found = fingerprint === undefined ? pid : await processLike(place, resolve(fingerprint));
        tellRow(await attachProcess(place, found, wish), json);
      }),
    );

  timed(
    json(
      aliased(
        verb(session, 'wait', 'wait until a process is in a state, or a condition holds'),
        'whom to wait for',
      ),
    ),
  )
    .option('-c, --condition <expression>', "over fp, state, health, uptimeMs: len(fp['listen'])>0")
    .option('-s, --state <state>', 'a named state, or ready, up, down, failed')
    .action(
      run(async ({ workspace, alias, json, ...goal }: ProcessOptions & WaitOptions) => {
        const { condition, state } = goal;
        if ((condition === undefined) === (state === undefined))
          throw usage('wait', 'name a --condition or a --state');
        if (condition !== undefined) parseCondition(condition);
        tellRow(await waitForProcess(openSession(resolve(workspace), schemes), alias!, goal), json);
      }),
    );

  timed(
    json(
      aliased(
        verb(session, 'stop', 'stop a process; it stays down until "start" or "activate"'),
        'whom to stop',
      ),
    ),
  ).action(
    run(async ({ workspace, alias, json, timeout }: ProcessOptions & WaitOptions) =>
      tellRow(await stopProcess(openSession(resolve(workspace), schemes), alias!, timeout), json),
    ),
  );

  aliased(verb(session, 'remove', 'stop a process and forget it; its output stays'), 'whom to forget').action(
    run(async ({ workspace, alias }: ProcessOptions) => {
      await removeProcess(openSession(resolve(workspace), schemes), alias!);
      print(`${alias} is forgotten`);
    }),
  );

  const dependence = session
    .command('dependence')
    .description('say who waits for whom: "add" and "remove"')
    .helpCommand(false);
  for (const what of ['add', 'remove'] as const)
    verb(
      dependence,
      what,
      what === 'add'
        ? 'a child starts only when its parents are in their states'
        : 'a child waits for that parent no more',
    )
      .requiredOption(
        '--parent <parent[:state]>',
        'one or several, joined by commas; without a state: when it is up',
        list,
      )
      .requiredOption('--child <child>', 'one or several, joined by commas', list)
      .action(
        run(async ({ workspace, parent, child }: CommonOptions & { parent: string[]; child: string[] }) => {
          const done = await changeDependences(openSession(resolve(workspace), schemes), what, parent, child);
          print(done.length > 0 ? done.join('\n') : 'they were there already');
        }),
      );

  json(
    verb(session, 'activate', 'start the session: all that has --restart 1, in the order of the dependences'),
  ).action(
    run(async ({ workspace, json }: CommonOptions) => {
      const { pid, started } = await activateSession(openSession(resolve(workspace), schemes));
      if (json) return tellActivated(pid, started);
      print(`supervisor ${pid} keeps ${started.length === 1 ? '1 process' : `${started.length} processes`}`);
      for (const each of started) tellStart(each, false);
    }),
  );

  json(
    verb(
      session,
      'deactivate',
      'end the session: stops all that has --shutdown 1, who waits for others first',
    ),
  ).action(
    run(async ({ workspace, json }: CommonOptions) => {
      const end = await deactivateSession(openSession(resolve(workspace), schemes), (name) => {
        if (!json) print(`${name} [done]`);
      });
      if (json) print(JSON.stringify(end, null, 2));
      else {
        for (const { name, pid } of end.left) print(`${name} goes on as process ${pid}`);
        for (const name of end.unkillable) print(`${name} is stuck in the kernel and could not be killed`);
        print('the session is not active any more');
      }
      if (end.unkillable.length > 0) process.exitCode = exitCode.unkillable;
    }),
  );

  json(verb(session, 'show', 'print the processes of the session')).action(
    run(async ({ workspace, json }: CommonOptions) => {
      const listing = await listSession(openSession(resolve(workspace), schemes));
      print(json ? JSON.stringify(listing, null, 2) : renderListing(listing, program.name()));
    }),
  );

  verb(session, 'graph', 'draw who waits for whom; nothing runs')
    .addOption(formatOption())
    .action(
      run(async ({ workspace, format }: CommonOptions & { format: Format }) => {
        const graph = sessionGraph(openSession(resolve(workspace), schemes));
        process.stdout.write(await draw(graph, format));
      }),
    );

  configure(session, program.name());
}

interface AttachOptions extends ProcessOptions {
  readonly pid?: number;
  readonly fingerprint?: string;
  readonly state?: string;
}

interface WaitOptions {
  readonly condition?: string;
  readonly state?: string;
  readonly timeout?: number;
}

/** What goes wrong is told as everywhere else, whichever program it is. */
function runner(program: Command) {
  return <O>(action: (options: O) => unknown) =>
    async (options: O): Promise<void> => {
      try {
        await action(options);
      } catch (error) {
        if (!(error instanceof IpcError)) throw error;
        process.stderr.write(`${program.name()}: ${error.message}\n`);
        process.exitCode = exitCodeOfError(error);
      }
    };
}

/** Also a program that knows nothing of our exit codes ends with them. */
function configure(command: Command, path: string): void {
  const full = `${path} ${command.name()}`;
  command
    .exitOverride((error) => process.exit(error.exitCode === 0 ? exitCode.asked : exitCode.usage))
    .showSuggestionAfterError()
    .showHelpAfterError(`(see "${full} --help")`);
  for (const below of command.commands) configure(below, full);
}

function tellStart(started: Started, json: boolean | undefined): void {
  print(json ? JSON.stringify(started, null, 2) : describeStart(started));
  if (started.failure) process.exitCode = startExitCode(started.failure.code);
}

function tellActivated(pid: number, started: readonly Started[]): void {
  print(JSON.stringify({ pid, started }, null, 2));
  if (started.some(({ failure }) => failure)) process.exitCode = exitCode.failed;
}

/** A shell's codes for a program that is missing, and for one that may not be run. */
function startExitCode(code: number | null): number {
  return code === 126 || code === 127 ? exitCode.programMissing : exitCode.failed;
}

function tellRow(row: SessionRow, json: boolean | undefined): void {
  print(json ? JSON.stringify(row, null, 2) : describeRow(row));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function usage(command: string, why: string): IpcError {
  return IpcError.of('ERR_OPTIONS_INVALID', `session ${command}`, why);
}

function flag(text: string): boolean {
  if (text !== '0' && text !== '1') throw new InvalidArgumentError('it must be 0 or 1');
  return text === '1';
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError('it must be the number of a process');
  return Number(text);
}

function list(text: string): string[] {
  const words = text.split(',').map((word) => word.trim());
  if (words.includes('')) throw new InvalidArgumentError('it must be names, joined by commas');
  return words;
}
