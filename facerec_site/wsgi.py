"""What gunicorn serves."""

from django.core.wsgi import get_wsgi_application

from facerec_site import choose_settings

choose_settings()
application = get_wsgi_application()
