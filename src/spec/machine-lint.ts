// Machine lint: what hides mistakes in a machine's configuration, as XState takes it. Only what stands there is looked at.

export interface MachineWarning {
  /** Key path in the configuration. */
  readonly path: string;
  readonly text: string;
}

/** A machine deeper than this is not looked at any further. */
const depthMax = 32;

/** @param config of a machine or a state; anything else has no warnings. */
export function machineWarnings(config: unknown, path = '', depth = 0): MachineWarning[] {
  if (!isMap(config) || depth > depthMax) return [];
  const at = (key: string) => (path === '' ? key : `${path}.${key}`);
  const { on, invoke, states } = config;
  const found: MachineWarning[] = [];
  if (isMap(on) && Object.hasOwn(on, '*'))
    found.push({
      path: at("on['*']"),
      text: "a bare '*' takes every event, errors and the ends of invoked actors among them; name the events, or a prefix as 'message.*'",
    });
  const invokes = Array.isArray(invoke) ? invoke : invoke === undefined ? [] : [invoke];
  for (const [index, each] of invokes.entries())
    if (isMap(each) && !Object.hasOwn(each, 'onError') && !hears(on))
      found.push({
        path: at(Array.isArray(invoke) ? `invoke[${index}]` : 'invoke'),
        text: `the failure of ${nameOf(each)} ends the whole machine; say with onError what follows`,
      });
  for (const [name, state] of Object.entries(isMap(states) ? states : {}))
    found.push(...machineWarnings(state, at(`states.${name}`), depth + 1));
  return found;
}

/** Whether the state takes the error of what it invokes as an event. */
function hears(on: unknown): boolean {
  return (
    isMap(on) &&
    Object.keys(on).some((type) => type === 'xstate.error.*' || type.startsWith('xstate.error.actor'))
  );
}

function nameOf({ id, src }: Readonly<Record<string, unknown>>): string {
  const name = typeof id === 'string' ? id : src;
  return typeof name === 'string' ? `actor ${name}` : 'the invoked actor';
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
