// Turns: what actors post to each other, one after another and never inside each other. An event that leads to a hundred more does
// so in order, on a flat stack, and whoever posts goes on with its own work first.
import type { EventObject } from 'xstate';

interface Receiver {
  send(event: EventObject): void;
}

export class Turns {
  #tasks: (() => void)[] = [];
  /** How many of them have had their turn. */
  #taken = 0;
  #running = false;

  later(task: () => void): void {
    this.#tasks.push(task);
    if (!this.#running) this.#run();
  }

  /** The same for an event, which waits for nothing where nothing else is on its way: then it costs no object. */
  send(actor: Receiver, event: EventObject): void {
    if (this.#running || this.#tasks.length > 0) return this.later(() => actor.send(event));
    this.#running = true;
    try {
      actor.send(event);
    } finally {
      this.#running = false;
      if (this.#tasks.length > 0) this.#run();
    }
  }

  #run(): void {
    this.#running = true;
    try {
      for (let next = this.#next(); next; next = this.#next()) next();
    } finally {
      this.#running = false;
      // A task that threw (a mistake of ours: actors don't) must not hold back those behind it.
      this.#goOn();
    }
  }

  /** What a new actor posts in its first step is heard after its owner has it in hand. */
  queueing(actor: { start(): unknown }): void {
    const wasRunning = this.#running;
    this.#running = true;
    try {
      actor.start();
    } finally {
      this.#running = wasRunning;
      if (!wasRunning) this.#goOn();
    }
  }

  #goOn(): void {
    if (this.#tasks.length > 0) queueMicrotask(() => this.later(() => {}));
  }

  /** Taken by counting: moving up all that wait behind each one costs the square of their number. */
  #next(): (() => void) | undefined {
    const task = this.#tasks[this.#taken++];
    if (this.#taken >= this.#tasks.length) {
      this.#tasks = [];
      this.#taken = 0;
    }
    return task;
  }
}
