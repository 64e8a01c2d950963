// Figures that tests count on their way, for the tables of docs/: printed with SHOW_FIGURES=1.
export function figures(of: string, counted: object): void {
  if (process.env.SHOW_FIGURES) console.log(of, JSON.stringify(counted));
}
