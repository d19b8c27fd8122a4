// A program against the types that openapi-typescript generates. It is only type-checked.
import type { components, operations, paths } from "./schema";

type Schema<Name extends keyof components["schemas"]> = components["schemas"][Name];
type Operation = keyof operations;
type Json<Response> = Response extends { content: { "application/json": infer Body } } ? Body : never;
type Success<Name extends Operation> = Json<
  operations[Name]["responses"][keyof operations[Name]["responses"]]
>;
type Body<Name extends Operation> = operations[Name] extends {
  requestBody?: { content: { "application/json": infer Sent } };
}
  ? Sent
  : never;
type Request<Name extends Operation> = operations[Name]["parameters"];

declare function call<Name extends Operation>(
  name: Name,
  request: Request<Name>,
  body?: Body<Name>,
): Promise<Success<Name> | Schema<"Problem">>;

function isProblem(value: object): value is Schema<"Problem"> {
  return "code" in value && "request_id" in value;
}

export async function everyone(collection: string): Promise<Schema<"Person">[]> {
  const people: Schema<"Person">[] = [];
  let cursor: string | undefined;
  do {
    const page = await call("listPersons", { path: { collection }, query: { page_size: 2, cursor, ordering: "name" } });
    if (isProblem(page)) throw new Error(page.detail);
    people.push(...page.results);
    cursor = page.next === null ? undefined : (new URL(page.next).searchParams.get("cursor") ?? undefined);
  } while (cursor !== undefined);
  return people;
}

export async function whoIs(collection: string, base64: string): Promise<string | null> {
  const found = await call(
    "identify",
    { path: { collection }, query: { max_candidates: 1, quality: "high" } },
    { photo: { base64 } },
  );
  if (isProblem(found)) return found.reasons?.[0]?.hint ?? found.errors?.["photo"]?.[0] ?? null;
  const decision: "match" | "ambiguous" | "no_match" | undefined = found.faces[0]?.decision;
  return decision === "match" ? (found.faces[0]?.candidates[0]?.person.external_id ?? null) : null;
}

export const suspended: Schema<"PersonRequest"> = {
  external_id: null,
  status: "suspended",
  consent: { given_at: "2026-01-01T00:00:00Z" },
  metadata: { floor: 3 },
};

export const enrolled: operations["enrolPhoto"]["responses"][201]["headers"]["Location"] = "https://example.org/";
export const create: paths["/api/v1/collections/"]["post"] = {} as operations["createCollection"];

// The types are as narrow as the document:
// @ts-expect-error a client can't make people merged
export const merged: Schema<"PersonRequest"> = { status: "merged" };
// @ts-expect-error there is no such field
export const unknownField: Schema<"PersonRequest"> = { nmae: "Ada" };
// @ts-expect-error no collection without a name
export const nameless: Schema<"NewCollectionRequest"> = {};
// @ts-expect-error no such ordering
export const ordering: Request<"listPersons">["query"] = { ordering: "age" };
// @ts-expect-error a photo is never fetched from a URL
export const fetched: Body<"detect"> = { photo: { url: "https://example.org/photo.jpg" } };
// @ts-expect-error an erasure has no such status
export const status: Schema<"Erasure">["status"] = "failed";
