import * as z from "zod";

// zod generates code for each schema, which only pays for a program that reads thousands of objects. A program that reads few
// imports this before anything else: a schema takes up the setting when it is made.
z.config({ jitless: true });
