/**
 * How many times as often as usual a function runs before it is compiled. A download of a hundred MiB is some hundred chunks: what each of
 * them takes is little, and to compile it four times, ever better, was a third of a download on an emulated processor. One of some GiB gets
 * there all the same.
 */
const SCALE = 20;

/** For a thread that only hands large pieces on, from now on: its functions stay with the interpreter for longer. */
export function compileReluctantly(): void {
  Bun.unsafe.setJITPolicy(SCALE);
}
