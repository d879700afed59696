/** The script of the page, as text. */
declare const script: string;
export default script;
