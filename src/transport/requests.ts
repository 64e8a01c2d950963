// Requests: what both sides of a channel ask each other. Which of our questions are unanswered stands in questions.ts, which of
// the peer's we still owe an answer in answers.ts; here each record finds the one that it belongs to.
import type { IpcError } from '../errors.ts';
import type { Descriptor } from '../spec/native-handle.ts';
import { Answers } from './answers.ts';
import { Questions, type RequestSettings } from './questions.ts';
import { recordFlag, recordKind } from './record.ts';
import type { Strays } from './strays.ts';

export class Requests {
  readonly questions: Questions;
  readonly answers: Answers;
  readonly #strays: Strays;

  constructor(settings: RequestSettings) {
    this.questions = new Questions(settings);
    this.answers = new Answers(settings);
    this.#strays = settings.strays;
  }

  /** Whether an answer to us, or a request that somebody here answers, may be on its way. */
  get expectsAny(): boolean {
    return this.questions.size > 0 || this.answers.expectsAny;
  }

  /**
   * A record of a request has come. Throws if it makes no sense.
   * @param handle what came with it; ours to close.
   */
  receive(kind: number, flags: number, id: number, value: unknown, handle?: Descriptor): void {
    if (id < 1) throw new Error('a request number out of range');
    switch (kind) {
      case recordKind.request:
        return this.answers.receiveRequest(id, value, handle);
      case recordKind.reply:
        return this.questions.receiveReply(id, value);
      case recordKind.failure:
        return this.questions.receiveFailure(id, value);
      case recordKind.stray:
        return this.#strays.refused(id, value);
      case recordKind.part:
      case recordKind.credit:
        if ((flags & recordFlag.asker) === 0) return this.questions.receiveMore(kind, id, value);
    }
    this.answers.receiveMore(kind, id, value);
  }

  finish(cause: IpcError): void {
    this.questions.finish(cause);
    this.answers.finish(cause);
  }
}
