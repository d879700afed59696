/** A library embedded in the executable: `import path from 'x.so' with { type: 'file' }` gives its path. */
declare module '*.so' {
  const path: string;
  export default path;
}
