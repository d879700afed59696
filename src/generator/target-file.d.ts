/** A unit in units/, embedded: `import text from 'x.target' with { type: 'text' }` gives its content. */
declare module '*.target' {
  const text: string;
  export default text;
}
