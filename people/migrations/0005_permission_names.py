from django.db import migrations

VERBS = ("add", "change", "delete", "view")


def rename_permissions(apps, schema_editor):
    """Name each model's permissions after its current verbose name.

    Django names them when it creates them, and keeps the name when the model's verbose name changes.
    """
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    for model in apps.get_app_config("people").get_models():
        for verb in VERBS:
            permissions.filter(
                content_type__app_label="people",
                content_type__model=model._meta.model_name,
                codename=f"{verb}_{model._meta.model_name}",
            ).update(name=f"Can {verb} {model._meta.verbose_name_raw}")


class Migration(migrations.Migration):

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("people", "0004_labels"),
    ]

    operations = [
        # the previous version works with any name, so there is nothing to undo
        migrations.RunPython(rename_permissions, migrations.RunPython.noop),
    ]
