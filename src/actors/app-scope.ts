// App scope: what a server keeps for all sessions of one client app: an arena, and an actor of the program. Both begin with
// the first session of that app and end with the server.
import type { AnyActorLogic } from 'xstate';
import { messageOf } from '../errors.ts';
import { type Address, addressOf } from '../names.ts';
import type { AppActor } from '../spec/session.ts';
import type { AppSpec } from '../spec/universe.ts';
import { SharedArena } from '../transport/value-arena.ts';
import type { Host, Hosted } from './hosting.ts';

export interface AppScope {
  /** One for each client app, so that none reads what was made for another; without `appBytes` there is none. */
  readonly arena: SharedArena | undefined;
  /** Undefined if the program has given no logic for that app, or it has ended. */
  readonly actor: AppActor | undefined;
}

interface Settings {
  readonly address: Address;
  readonly app: AppSpec;
  /** The program's logic for each client app that has one. */
  readonly logicFor: Readonly<Record<string, AnyActorLogic>>;
}

export class AppScopes {
  readonly #host: Host;
  readonly #settings: Settings;
  readonly #scopes = new Map<string, { arena: SharedArena | undefined; running: Running | undefined }>();
  #closed = false;

  constructor(host: Host, settings: Settings) {
    this.#host = host;
    this.#settings = settings;
  }

  /** The scope of that client app; begins if it is the first time. */
  of(client: string): AppScope {
    let scope = this.#scopes.get(client);
    if (!scope) {
      const { appBytes } = this.#settings.app;
      scope = { arena: appBytes > 0 ? new SharedArena(appBytes) : undefined, running: undefined };
      this.#scopes.set(client, scope);
      scope.running = this.#start(client, scope.arena);
    }
    const { arena, running } = scope;
    return {
      arena,
      get actor() {
        return running?.ended ? undefined : running?.actor;
      },
    };
  }

  /** Ends all of them. REQUIRES: no session uses them any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { arena, running } of this.#scopes.values()) {
      if (!running?.ended) running?.hosted.stop();
      arena?.close();
    }
  }

  #start(client: string, arena: SharedArena | undefined): Running | undefined {
    const { address, logicFor, app } = this.#settings;
    const logic = Object.hasOwn(logicFor, client) ? logicFor[client] : undefined;
    if (!logic) return undefined;
    let snapshots: Snapshots | undefined;
    const running: Running = {
      ended: false,
      hosted: this.#host.start(logic, {
        address: addressOf(address, `app-${client}`),
        input: { client, arena } as never,
        bind: (actor) => {
          snapshots = actor as Snapshots;
        },
        onEnd: (end) => {
          running.ended = true;
          if (end.how === 'crashed')
            this.#host.log.error(
              { app: app.name, client },
              `the actor of app ${app.name} for its client ${client} crashed: ${messageOf(end.error)}`,
            );
        },
      }),
      actor: {
        send: (event) => running.hosted.post(event as never),
        getSnapshot: () => snapshots!.getSnapshot(),
      },
    };
    return running;
  }
}

interface Running {
  ended: boolean;
  readonly hosted: Hosted;
  readonly actor: AppActor;
}

interface Snapshots {
  getSnapshot(): unknown;
}
