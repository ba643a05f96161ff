import { expect, test } from "vitest";
import { translatePaths } from "../../cluster/processNode/paths.ts";

const mounts = [
  { mountPath: "/etc/app", localPath: "/pod/volumes/app" },
  { mountPath: "/etc/app/secret/", localPath: "/pod/volumes/secret" },
  { mountPath: "/tmp", localPath: "/pod/volumes/tmp" },
];

test.each([
  ["/etc/app", "/pod/volumes/app"],
  ["/etc/app/config.yaml", "/pod/volumes/app/config.yaml"],
  ["--config=/etc/app/config.yaml", "--config=/pod/volumes/app/config.yaml"],
  ["/bin:/etc/app:/tmp/x", "/bin:/pod/volumes/app:/pod/volumes/tmp/x"],
  ["cat '/etc/app/a' > /tmp/b", "cat '/pod/volumes/app/a' > /pod/volumes/tmp/b"],
  ["/etc/app/secret/key", "/pod/volumes/secret/key"],
  ["/etc/app/secret", "/pod/volumes/secret"],
])("a path at or below a mount is translated: %s", (text, translated) => {
  expect(translatePaths(text, mounts)).toBe(translated);
});

test.each(["/etc/apps", "/etc/app.yaml", "/opt/etc/app", "etc/app", "https://host/tmp", "/etc"])(
  "other text stays as it is: %s",
  (text) => {
    expect(translatePaths(text, mounts)).toBe(text);
  },
);

test("a translated path is not translated again", () => {
  const nested = [
    { mountPath: "/a", localPath: "/tmp/a" },
    { mountPath: "/tmp", localPath: "/elsewhere" },
  ];
  expect(translatePaths("/a/x /tmp/y", nested)).toBe("/tmp/a/x /elsewhere/y");
});
